/**
 * What ends a migration before its time: the user, or something that would fail every object to come. Nothing new begins
 * then, what is in flight may end, and the job stays to be gone on with.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';

/** What one object fails by, all would: to go on were to fail a million times. */
const OF_ALL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'no-key',
  'kms-key-not-found',
  'kms-key-disabled',
  'kms-access-denied',
  'kms-error',
  'kms-throttled',
  'kms-unavailable',
  'kms-answer-mismatch',
  'limiter-unavailable',
  'credentials-missing',
  'credentials-expired',
  'bucket-not-found',
  'wrong-region',
  'disk-full',
  'memory-too-small',
  'encryption-mismatch',
  'sse-c-blocked',
  'bad-context',
  'ledger-corrupt',
  'state-dir-unsafe',
]);

/** Whether it would fail every object. */
export function failsAll({ code }: SealiftError): boolean {
  return OF_ALL.has(code);
}

export class Pause {
  readonly #controller = new AbortController();
  readonly #user: AbortSignal | undefined;
  readonly #job: string;
  #error: SealiftError | undefined;
  /** Aborts when nothing new is to begin. */
  readonly signal: AbortSignal;

  constructor(user: AbortSignal | undefined, job: string) {
    this.#user = user;
    this.#job = job;
    this.signal = AbortSignal.any([this.#controller.signal, ...(user ? [user] : [])]);
  }

  /** The first to say so gives the reason. */
  because(error: SealiftError): void {
    this.#error ??= error;
    this.#controller.abort(new SealiftError('interrupted', 'The job is paused'));
  }

  /** Resolves once all of them have ended; one that fails pauses the others. */
  async guard(works: Promise<void>[]): Promise<void> {
    await Promise.all(works.map((work) => work.catch((error) => this.because(SealiftError.from(error)))));
  }

  /** Throws what the job was paused by, where it was. */
  check(): void {
    const onward = `The job is kept: \`sealift resume ${this.#job}\` goes on with it, \`sealift cancel ${this.#job}\` drops it.`;
    if (this.#error && this.#error.code !== 'interrupted') {
      const { code, message, hint } = this.#error;
      throw new SealiftError(code, message, { hint: `${hint} ${onward}`.trim(), cause: this.#error });
    }
    if (!this.#user?.aborted && !this.#error) return;
    throw new SealiftError('interrupted', 'Interrupted: some objects are yet to be moved', { hint: onward });
  }
}

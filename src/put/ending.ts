/**
 * What a message ends with, made from all of its parts while they are sealed: a signature over their bytes
 * (parts/signing.ts), or the tag of one GCM message. The last part waits for it.
 */
import type { Message, S3ecMessage } from '../formats/message.ts';
import { objectTag } from '../formats/s3ec/object-tag.ts';
import type { Crew } from '../job.ts';
import type { Announced } from '../parts/task.ts';
import type { PutRun } from '../put.ts';
import type { Attempt } from './attempt.ts';

export interface Ending extends Disposable {
  /** It wants the bytes of every part, not of the last alone. */
  readonly needsAllBytes: boolean;
  /** Starts the task that seals part `number`, when the ending allows. */
  enter<Result>(number: number, task: () => Promise<Result>): Promise<Result>;
  /** Hears of a sealed part. Its bytes stay as they are until this resolves. */
  take(number: number, part: Pick<Announced, 'sealed' | 'hash'>): Promise<void>;
  /** The bytes behind the last part, once every part was taken. */
  footer(message: Message): Promise<Uint8Array>;
  /** The message will not end: rejects whoever waits. */
  stop(reason: unknown): void;
}

/** Undefined where the message ends with its last part, or the ledger has what it ends with. */
export function beginEnding({ ledger }: PutRun, attempt: Attempt, { hashThread }: Crew): Ending | undefined {
  const { message, signingKey, footer } = attempt;
  if (message.format === 's3ec') return footer ? undefined : new TagMaker(knownHashes(attempt, ledger.job.id));
  return signingKey && hashThread!.begin(signingKey);
}

/** Waits for the hashes of all parts, in whatever order they come. */
export class TagMaker implements Ending {
  readonly needsAllBytes = false;
  readonly #hashes: Map<number, Uint8Array>;
  #changed = Promise.withResolvers<void>();
  #stopped: { reason: unknown } | undefined;

  /** `known` are the hashes of parts that need not be sealed again. */
  constructor(known: ReadonlyMap<number, Uint8Array> = new Map()) {
    this.#hashes = new Map(known);
  }

  enter<Result>(_number: number, task: () => Promise<Result>): Promise<Result> {
    return task();
  }

  async take(number: number, { hash }: Pick<Announced, 'hash'>): Promise<void> {
    this.#hashes.set(number, hash!);
    this.#tell();
  }

  async footer(message: S3ecMessage): Promise<Buffer> {
    while (this.#hashes.size < message.layout.partCount) {
      if (this.#stopped) throw this.#stopped.reason;
      await this.#changed.promise;
    }
    return objectTag(message, this.#hashes);
  }

  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#tell();
  }

  [Symbol.dispose](): void {
    this.#hashes.clear();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A part's hash as the ledger keeps it. */
export function sealHash({ vault }: Pick<Attempt, 'vault'>, place: HashPlace, hash: Uint8Array): Buffer {
  return vault.seal(hash, boundTo(place));
}

function knownHashes({ hashes, vault }: Attempt, jobId: string): Map<number, Uint8Array> {
  return new Map([...hashes].map(([number, sealed]) => [number, vault.open(sealed, boundTo({ jobId, number }))]));
}

interface HashPlace {
  jobId: string;
  number: number;
}

function boundTo({ jobId, number }: HashPlace): Buffer {
  return Buffer.from(`hash of part ${number} of job ${jobId}`);
}

/**
 * Everything that can go wrong, by stable code. The code is the contract: scripts match on it, README lists it, and
 * its row here decides the exit status. Messages say what happened; hints say what to do next.
 */

/** Exit statuses of the command line. A signal's second arrival exits 130 without passing through here. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  warnings: 3,
  interrupted: 4,
  unavailable: 5,
  integrity: 6,
  secondInterrupt: 130,
} as const;

const { failed, usage, interrupted, unavailable, integrity } = EXIT;

/** Every error code, with the exit status it has on the command line. Adding a code means adding its line to README's table; a test compares the two. */
export const CODES = {
  // What was asked cannot be done as asked; nothing has been touched.
  usage: usage,
  'bad-size': usage,
  'bad-option': usage,
  'bad-range': usage,
  'bad-url': usage,
  'bad-context': usage,
  'bad-key-file': usage,
  'no-key': usage,
  'source-is-directory': usage,
  'memory-too-small': usage,
  'too-many-parts': usage,
  'too-many-frames': usage,
  'too-large': usage,
  'metadata-too-large': usage,
  'plain-http': usage,
  'sse-c-needs-https': usage,
  'no-region': usage,
  'node-too-old': usage,
  'no-such-job': usage,
  'options-differ': usage,
  'cannot-carry': usage,
  'cannot-rewrap': usage,
  unversioned: usage,

  // The source.
  'source-not-found': failed,
  'source-unreadable': failed,
  'source-not-a-file': failed,
  'source-not-a-directory': failed,
  'bad-name': failed,
  'bad-manifest': failed,
  'source-changed': failed,
  'source-failed': failed,
  'pipe-interrupted': failed,
  'pipe-too-long': failed,

  // The target and the local disk.
  'target-exists': failed,
  'target-changed': failed,
  'target-unwritable': failed,
  'target-failed': failed,
  'disk-full': failed,

  // The store.
  'object-not-found': failed,
  'object-changed': failed,
  'object-archived': failed,
  'bucket-not-found': failed,
  'access-denied': failed,
  'policy-denied': failed,
  'wrong-region': failed,
  'credentials-missing': failed,
  'credentials-expired': failed,
  'upload-lost': failed,
  'sse-c-blocked': failed,
  'sse-c-missing-key': failed,
  'sse-c-wrong-key': failed,
  'sse-c-not-used': failed,
  'encryption-mismatch': failed,
  'store-error': failed,

  // Keys.
  'kms-key-not-found': failed,
  'kms-key-disabled': failed,
  'kms-access-denied': failed,
  'kms-error': failed,
  'wrong-key': failed,

  // The ledger.
  'job-busy': failed,
  'ledger-corrupt': failed,
  'ledger-too-new': failed,
  'ledger-moved': failed,
  'state-dir-unsafe': failed,

  // Ours, or nobody's.
  'not-sealed': failed,
  internal: failed,

  interrupted: interrupted,

  'store-throttled': unavailable,
  'store-unavailable': unavailable,
  'kms-throttled': unavailable,
  'kms-unavailable': unavailable,
  'limiter-unavailable': unavailable,

  // Bytes that do not prove themselves. Nothing of them was released to a file.
  'bad-header': integrity,
  'commitment-policy': integrity,
  'legacy-mode': integrity,
  unauthenticated: integrity,
  'context-mismatch': integrity,
  'bad-frame': integrity,
  'bad-tag': integrity,
  'bad-signature': integrity,
  truncated: integrity,
  'trailing-bytes': integrity,
  'object-relocated': integrity,
  'object-unbound': integrity,
  'object-unsigned': integrity,
  'object-unsealed': integrity,
  'checksum-mismatch': integrity,
  'kms-answer-mismatch': integrity,
} as const satisfies Record<string, number>;

/** A stable name of what went wrong. README tells what to do about each. */
export type ErrorCode = keyof typeof CODES;

/** Whether we were refused what we asked for: for want of a permission, or because a policy denies it. Not of KMS. */
export function isDenied(error: unknown): boolean {
  return error instanceof SealiftError && (error.code === 'access-denied' || error.code === 'policy-denied');
}

/** As `isDenied`, or something that the server does not know. */
export function isRefused(error: unknown): boolean {
  return isDenied(error) || (error instanceof SealiftError && error.code === 'store-error');
}

/** An error as plain data: what crosses threads, and what `--json` prints. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  hint: string;
  exit: number;
  /** What AWS's own logs know the refused call by, where AWS refused one. */
  requestId?: string | undefined;
}

/**
 * What every rejection is. `code` is the contract, `message` says what happened, `hint` what to do next, and `cause` is
 * the error underneath where there is one.
 *
 * @example
 * import { EXIT, SealiftError } from 'sealift';
 *
 * try {
 *   await engine.get({ source: 's3://backups/2026/nothing.tar', target: '/restore/nothing.tar' });
 * } catch (error) {
 *   if (!(error instanceof SealiftError)) throw error;
 *   if (error.exit === EXIT.unavailable) console.log('later, the same call goes on');
 *   else if (error.code === 'object-not-found') console.log(`${error.message}. ${error.hint}`);
 *   else throw error;
 * }
 */
export class SealiftError extends Error {
  /** What scripts match on. */
  readonly code: ErrorCode;
  /** What the reader can do next: a whole sentence, or '' where the message already says it. */
  readonly hint: string;
  /** Where a call to S3 or KMS was answered with this error, what their logs (CloudTrail) and AWS's support know it by. */
  readonly requestId: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown; requestId?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'SealiftError';
    this.code = code;
    this.hint = options.hint ?? '';
    this.requestId = options.requestId;
  }

  /** The process's exit status for this error. */
  get exit(): number {
    return CODES[this.code];
  }

  toJSON(): ErrorData {
    const { code, message, hint, exit, requestId } = this;
    return { code, message, hint, exit, requestId };
  }

  /** The inverse of `toJSON`, for errors that crossed a thread as data: structured clone drops class and fields. */
  static revive({ code, message, hint, requestId }: ErrorData): SealiftError {
    return new SealiftError(code, message, { hint, requestId });
  }

  /** What work rejects with once its signal has aborted: the signal's own reason where that is one of our errors. */
  static interrupted(signal: AbortSignal, what: string): SealiftError {
    if (signal.reason instanceof SealiftError) return signal.reason;
    return new SealiftError('interrupted', `${what}: interrupted`, { cause: signal.reason });
  }

  /** Any thrown value as a SealiftError; what we did not foresee becomes `internal`, with its cause kept. */
  static from(thrown: unknown): SealiftError {
    if (thrown instanceof SealiftError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new SealiftError('internal', message, {
      hint: 'This is a bug in Sealift. Please report it with the output of the same command with -v.',
      cause: thrown,
    });
  }
}

/**
 * A local AWS KMS without its HTTP: `handle` takes an operation's name and JSON body and gives KMS's status and JSON
 * answer. Signatures and transport are the server's. It encrypts for real, keeps key states and a quota, and refuses
 * what KMS refuses with KMS's own error names and, where they are known, its words. Key policies and tags are
 * accepted and have no effect; `denied` stands in for a policy.
 */
import { ADMINISTRATION } from './kms-admin.ts';
import { CRYPTOGRAPHY } from './kms-crypto.ts';
import { KmsError } from './kms-error.ts';
import { SandboxKeys } from './kms-keys.ts';
import { KmsRequest } from './kms-request.ts';

const DEFAULT_ALIAS = 'alias/sandbox';
/** S3's own key of the account. */
const MANAGED_ALIAS = 'alias/aws/s3';

/** The smallest Region's quota (KMS Developer Guide, "Request quotas"). */
export const DEFAULT_QUOTA_PER_SECOND = 10_000;

export interface SandboxKmsOptions {
  region: string;
  accountId: string;
  /** Cryptographic operations a second, together; 10,000 unless given. */
  quotaPerSecond?: number | undefined;
  /** Where keys outlive the process: JSON with the keys' secrets in it, mode 0600. */
  stateFile?: string | undefined;
}

export class SandboxKms {
  /** The key every sandbox has, also known as alias/sandbox. */
  readonly defaultKeyArn: string;

  /** ARNs of keys that nobody may use: AccessDeniedException. */
  readonly denied: Set<string>;

  readonly #keys: SandboxKeys;
  readonly quotaPerSecond: number;
  #second = 0;
  #usedInSecond = 0;

  constructor(options: SandboxKmsOptions) {
    this.#keys = new SandboxKeys(options);
    this.quotaPerSecond = options.quotaPerSecond ?? DEFAULT_QUOTA_PER_SECOND;
    this.denied = this.#keys.denied;
    if (!this.#keys.aliases().some((alias) => alias.name === DEFAULT_ALIAS)) {
      this.#keys.addAlias(DEFAULT_ALIAS, this.#keys.create('The key of the Sealift sandbox'));
    }
    this.defaultKeyArn = this.#keys.arnOf(this.#keys.find(DEFAULT_ALIAS));
  }

  /** Answers one call; `operation` is what follows `TrentService.` in X-Amz-Target. Does not throw for a bad request. */
  handle(operation: string, body: unknown): { status: number; body: object } {
    try {
      return { status: 200, body: this.#run(operation, new KmsRequest(body)) };
    } catch (error) {
      if (error instanceof KmsError) return { status: error.status, body: error.body };
      throw error;
    }
  }

  /** The ARN of the key that a service of AWS is told of by this name. Throws a KmsError. */
  arnFor(name: string): string {
    return this.#keys.arnOf(name === MANAGED_ALIAS ? this.#keys.managed(name) : this.#keys.find(name));
  }

  /** A call that a service of AWS makes under a key for whoever asked it to. Throws a KmsError. */
  useFor(keyArn: string): void {
    this.#countCall();
    this.#keys.usable(keyArn, 'GenerateDataKey');
  }

  #run(operation: string, request: KmsRequest): object {
    if (Object.hasOwn(ADMINISTRATION, operation)) return ADMINISTRATION[operation]!(this.#keys, request);
    if (!Object.hasOwn(CRYPTOGRAPHY, operation)) throw new KmsError('UnknownOperationException');
    this.#countCall();
    return CRYPTOGRAPHY[operation]!(this.#keys, request);
  }

  /**
   * The quota holds in each one-second interval; past it KMS rejects until the interval ends. Status and text: KMS
   * Developer Guide, "Throttling AWS KMS requests".
   */
  #countCall(): void {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) this.#usedInSecond = 0;
    this.#second = second;
    this.#usedInSecond += 1;
    if (this.#usedInSecond > this.quotaPerSecond) {
      const message = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';
      throw new KmsError('ThrottlingException', message);
    }
  }
}

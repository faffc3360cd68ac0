/**
 * Whose keys an engine uses, and how: the user's keyring behind the data-key cache, and for KMS a client and a limiter of
 * the region's quota, made when the first key is asked for.
 */
import type { KMSClient } from '@aws-sdk/client-kms';
import type { EngineOptions } from '../engine.ts';
import { SealiftError } from '../errors.ts';
import { type CacheStats, type CachingKeyring, cachingKeyring } from '../keys/cache.ts';
import type { Keyring } from '../keys/keyring.ts';
import { kmsKeyring as keyringOverKms } from '../keys/kms.ts';
import { createKmsClient } from '../keys/kms-client.ts';
import type { Limiter } from '../limits/limiter.ts';
import { kmsQuota } from '../limits/quotas.ts';
import { kmsLimiter } from '../limits/token-bucket.ts';

const DEFAULT_KMS_SHARE = 0.2;

/** Keys from AWS KMS. Region, credentials and endpoint are AWS's own settings. */
export interface KmsKeyringOptions {
  /** Key ids, ARNs or aliases. The first makes data keys, the others can open them too. None: open only, whatever the object names. */
  keyIds: readonly string[];
  /** Share of the region's request quota to use at most. Default 0.2. */
  share?: number | undefined;
  /** Requests a second at most; overrides `share`. */
  ratePerSecond?: number | undefined;
}

/** What `kmsKeyring` returns: a wish, which the engine fulfils with its own client, limiter and cache. */
export interface KmsKeyring {
  readonly kms: KmsKeyringOptions;
}

export function kmsKeyring(options: KmsKeyringOptions): KmsKeyring {
  return { kms: options };
}

/** The engine's keyring: the user's, behind the cache, with KMS's client and limiter made when first needed. */
export class EngineKeys implements Keyring {
  readonly id: string;
  readonly #options: EngineOptions;
  #ready: Promise<CachingKeyring> | undefined;
  #cache: CachingKeyring | undefined;
  #limiter: Limiter | undefined;
  #client: KMSClient | undefined;
  callCount = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.id =
      options.keyring && 'kms' in options.keyring
        ? `aws-kms ${options.keyring.kms.keyIds.join(' ')}`
        : (options.keyring?.id ?? '');
  }

  async makeDataKey(request: Parameters<Keyring['makeDataKey']>[0]) {
    return (await this.#open()).makeDataKey(request);
  }

  async openDataKey(request: Parameters<Keyring['openDataKey']>[0]) {
    return (await this.#open()).openDataKey(request);
  }

  stats(): CacheStats {
    return this.#cache?.stats() ?? { hits: 0, misses: 0 };
  }

  async close(): Promise<void> {
    await this.#ready?.catch(() => undefined);
    this.#cache?.close();
    this.#client?.destroy();
    await this.#limiter?.close();
  }

  #open(): Promise<CachingKeyring> {
    if (!this.#ready) {
      this.#ready = this.#make();
      // What failed once, a region that was not set, may succeed when it is asked for again.
      this.#ready.catch(() => {
        this.#ready = undefined;
      });
    }
    return this.#ready;
  }

  async #make(): Promise<CachingKeyring> {
    const { keyring, keyReuse } = this.#options;
    if (!keyring) throw noKey();
    const inner = 'kms' in keyring ? await this.#overKms(keyring.kms) : keyring;
    this.#cache = cachingKeyring(inner, keyReuse === 'off' ? { maxMessages: 1 } : {});
    return this.#cache;
  }

  async #overKms({ keyIds, share = DEFAULT_KMS_SHARE, ratePerSecond }: KmsKeyringOptions): Promise<Keyring> {
    this.#client ??= await createKmsClient();
    const client = this.#client;
    const quota = kmsQuota(await client.config.region());
    this.#limiter ??= kmsLimiter({ ratePerSecond: ratePerSecond ?? quota * share });
    const onCall = () => {
      this.callCount++;
    };
    return keyringOverKms({ client, keyIds: [...keyIds], limiter: this.#limiter, onCall });
  }
}

function noKey(): SealiftError {
  return new SealiftError('no-key', 'No key was named', {
    hint: 'Give --kms-key with a KMS key, or --raw-key with a key file (`sealift keygen FILE` makes one).',
  });
}

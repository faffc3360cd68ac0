/**
 * Whose keys an engine uses, and how: the user's keyring behind the data-key cache, and for KMS a client and a limiter of
 * the region's quota, made when the first key is asked for. What speaks to KMS is loaded where KMS is meant: its SDK takes
 * a twentieth of a second.
 */
import type { KMSClient } from '@aws-sdk/client-kms';
import { SealiftError } from '../errors.ts';
import { type CacheStats, type CachingKeyring, cachingKeyring } from '../keys/cache.ts';
import type { DataKey, Keyring, KeyringRequest, OpenKeyRequest, WrappingKeyring } from '../keys/keyring.ts';
import type { DiscoveryFilter } from '../keys/kms-arn.ts';
import { multiKeyring as keyringOfSeveral } from '../keys/multi.ts';
import type { Limiter } from '../limits/limiter.ts';
import { kmsQuota } from '../limits/quotas.ts';
import { checkRedisUrl } from '../limits/redis-bucket.ts';
import { type KmsQuota, readKmsQuota } from '../limits/service-quotas.ts';
import { sharedLimiter } from '../limits/shared.ts';
import { kmsLimiter } from '../limits/token-bucket.ts';
import type { Retry } from '../network.ts';
import type { KmsUse } from '../plan.ts';
import type { EngineOptions } from './api.ts';
import { Once } from './once.ts';

const DEFAULT_KMS_SHARE = 0.2;

/** Keys from AWS KMS. Region, credentials and endpoint are AWS's own settings. */
export interface KmsKeyringOptions {
  /** Key ids, ARNs or aliases. The first makes data keys, the others can open them too. None: open only, whatever the object names. */
  keyIds: readonly string[];
  /**
   * Share of the region's default request quota to use at most. Default 0.2. `auto` is 0.2 of what Service Quotas say
   * this very account has.
   */
  share?: number | 'auto' | undefined;
  /** Requests a second at most; overrides `share`. */
  ratePerSecond?: number | undefined;
  /** Which keys KMS may be asked about that an object names and `keyIds` does not. All where absent. */
  discovery?: DiscoveryFilter | undefined;
  /** Of grants too young for all of KMS to know them. */
  grantTokens?: readonly string[] | undefined;
}

/** What `kmsKeyring` returns: a wish, which the engine fulfils with its own client, limiter and cache. */
export interface KmsKeyring {
  readonly kms: KmsKeyringOptions;
}

/**
 * A keyring over AWS KMS: for an engine, alone or in a `multiKeyring`.
 *
 * @example
 * import { createEngine, kmsKeyring } from 'sealift';
 *
 * // The first key makes the data keys; whoever may use the second can open them too.
 * const keyring = kmsKeyring({ keyIds: ['alias/backups', 'alias/escrow'], share: 0.1 });
 * await using engine = createEngine({ keyring });
 * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/two-keys.tar' });
 *
 * @example To open, without naming a key: KMS is asked about those of one account
 * import { createEngine, kmsKeyring } from 'sealift';
 *
 * const keyring = kmsKeyring({ keyIds: [], discovery: { accountIds: ['000000000000'] } });
 * await using engine = createEngine({ keyring });
 * await engine.get({ source: 's3://backups/2026/db.tar', target: '/restore/found.tar' });
 */
export function kmsKeyring(options: KmsKeyringOptions): KmsKeyring {
  return { kms: options };
}

/** What `multiKeyring` returns: a wish too, since some of the keyrings may be. */
export interface MultiKeyring {
  readonly keyrings: readonly (WrappingKeyring | KmsKeyring)[];
}

/**
 * Several keyrings as one: the first makes data keys, the others wrap them too, and any of them opens them.
 *
 * @example KMS for every day, and an RSA key in a safe for the day when KMS cannot be had
 * import { createEngine, kmsKeyring, multiKeyring, readKeyFile } from 'sealift';
 *
 * const keyring = multiKeyring([kmsKeyring({ keyIds: ['alias/backups'] }), await readKeyFile('/keys/safe-public.json')]);
 * await using engine = createEngine({ keyring });
 * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/with-safe.tar' });
 */
export function multiKeyring(keyrings: readonly (WrappingKeyring | KmsKeyring)[]): MultiKeyring {
  return { keyrings };
}

export interface KeysHearers {
  /** Of calls to KMS that are made again. */
  onRetry: (retry: Retry) => void;
  /** That calls are paced in another way, in words. */
  onNotice: (message: string) => void;
}

/** The engine's keyring: the user's, behind the cache, with KMS's client and limiter made when first needed. */
export class EngineKeys implements WrappingKeyring {
  readonly id: string;
  readonly #options: EngineOptions;
  readonly #hearers: KeysHearers;
  readonly #ready = new Once<CachingKeyring>();
  readonly #limiter = new Once<Limiter>();
  readonly #client = new Once<KMSClient>();
  readonly #quota = new Once<KmsQuota>();
  #cache: CachingKeyring | undefined;
  /** That KMS is asked at most. Undefined as long as nobody has asked. */
  callsPerSecond: number | undefined;
  /** All that are to be closed. */
  readonly #caches: CachingKeyring[] = [];

  /** Throws `bad-option` for a limiter that is none. */
  constructor(options: EngineOptions, hearers: KeysHearers) {
    if (options.limiter !== undefined) checkRedisUrl(options.limiter);
    this.#options = options;
    this.#hearers = hearers;
    this.id = options.keyring ? idOf(options.keyring) : '';
  }

  async makeDataKey(request: KeyringRequest) {
    return (await this.#open()).makeDataKey(request);
  }

  async openDataKey(request: OpenKeyRequest) {
    return (await this.#open()).openDataKey(request);
  }

  /** The data key, which stays the caller's, under the one wrapping key there must be. Throws `bad-option`. */
  async wrapDataKey(dataKey: DataKey, request: KeyringRequest) {
    const { keyring } = this.#options;
    if (!keyring) throw noKey();
    const fulfilled = await this.fulfil(keyring);
    if ('wrapDataKey' in fulfilled) return (fulfilled as WrappingKeyring).wrapDataKey(dataKey, request);
    throw new SealiftError('bad-option', 'This keyring wraps no data keys that another one made', {
      hint: "Name one key: an S3 Encryption Client's object has room for one wrapped copy.",
    });
  }

  stats(): CacheStats {
    return this.#cache?.stats() ?? { hits: 0, misses: 0 };
  }

  async close(): Promise<void> {
    await this.#ready.ifMade();
    for (const cache of this.#caches) cache.close();
    (await this.#client.ifMade())?.destroy();
    await (await this.#limiter.ifMade())?.close();
  }

  #open(): Promise<CachingKeyring> {
    return this.#ready.get(() => this.#make());
  }

  async #make(): Promise<CachingKeyring> {
    const { keyring } = this.#options;
    if (!keyring) throw noKey();
    this.#cache = this.#cached(await this.fulfil(keyring));
    return this.#cache;
  }

  #cached(keyring: Keyring): CachingKeyring {
    const cache = cachingKeyring(keyring, this.#options.keyReuse === 'off' ? { maxMessages: 1 } : {});
    this.#caches.push(cache);
    return cache;
  }

  /** As `fulfil`, behind a cache: many objects are to be opened with it. */
  async fulfilForMany(wish: Keyring | KmsKeyring | MultiKeyring | undefined): Promise<Keyring> {
    return wish ? this.#cached(await this.fulfil(wish)) : this;
  }

  /** A keyring as it was wished for, with no cache, for as long as this one is open; this one where nothing was. */
  async fulfil(wish: Keyring | KmsKeyring | MultiKeyring = this): Promise<Keyring> {
    if ('kms' in wish) return this.#overKms(wish.kms);
    if (!('keyrings' in wish)) return wish;
    const members: WrappingKeyring[] = [];
    for (const member of wish.keyrings) members.push('kms' in member ? await this.#overKms(member.kms) : member);
    return keyringOfSeveral(members);
  }

  async #overKms(options: KmsKeyringOptions): Promise<WrappingKeyring> {
    const { keyIds, discovery, grantTokens } = options;
    const client = await this.#kmsClient();
    const region = await client.config.region();
    const limiter = await this.#limiter.get(() => this.#limiterFor(options, region));
    const access = { client, limiter, onRetry: this.#hearers.onRetry };
    const { kmsKeyring } = await import('../keys/kms.ts');
    return kmsKeyring({ ...access, keyIds, discovery, region, grantTokens });
  }

  #kmsClient(): Promise<KMSClient> {
    return this.#client.get(async () => {
      const { createKmsClient } = await import('../keys/kms-client.ts');
      return createKmsClient();
    });
  }

  async #limiterFor(options: KmsKeyringOptions, region: string): Promise<Limiter> {
    const ratePerSecond = await this.#rateOf(options, region);
    this.callsPerSecond = ratePerSecond;
    const { limiter: url } = this.#options;
    if (url === undefined) return kmsLimiter({ ratePerSecond });
    return sharedLimiter({ ratePerSecond, url, id: `sealift kms ${region}`, onNotice: this.#hearers.onNotice });
  }

  /** How KMS would be asked, for a plan. Undefined where no key is of KMS. Throws `no-key`, and as `createKmsClient` does. */
  async kmsUse(): Promise<KmsUse | undefined> {
    const { keyring, keyReuse } = this.#options;
    if (!keyring) throw noKey();
    const wishes = kmsWishesIn(keyring);
    if (wishes.length === 0) return undefined;
    const client = await this.#kmsClient();
    const region = await client.config.region();
    return {
      quota: await this.#readQuota(region),
      ratePerSecond: await this.#rateOf(wishes[0]!, region),
      callsPerDataKey: wishes.reduce((sum, { keyIds }) => sum + keyIds.length, 0),
      reusesKeys: keyReuse !== 'off',
    };
  }

  /** Calls a second that KMS is asked at most. */
  async #rateOf({ share = DEFAULT_KMS_SHARE, ratePerSecond }: KmsKeyringOptions, region: string): Promise<number> {
    if (ratePerSecond !== undefined) return ratePerSecond;
    if (share !== 'auto') return share * kmsQuota(region);
    const { perSecond, from, asOf, reason } = await this.#readQuota(region);
    const rate = DEFAULT_KMS_SHARE * perSecond;
    if (from === 'table') {
      this.#hearers.onNotice(
        `Service Quotas tell nothing (${reason}): KMS is asked ${rate} times a second at most, by Sealift's table of ${asOf}`,
      );
    }
    return rate;
  }

  #readQuota(region: string): Promise<KmsQuota> {
    return this.#quota.get(() => readKmsQuota(region));
  }
}

function kmsWishesIn(wish: Keyring | KmsKeyring | MultiKeyring): KmsKeyringOptions[] {
  if ('kms' in wish) return [wish.kms];
  return 'keyrings' in wish ? wish.keyrings.flatMap(kmsWishesIn) : [];
}

/** Equal for equal keys: a job goes on only under those it was begun with. */
function idOf(keyring: Keyring | KmsKeyring | MultiKeyring): string {
  if ('kms' in keyring) return `aws-kms ${keyring.kms.keyIds.join(' ')}`;
  if ('keyrings' in keyring) return JSON.stringify(keyring.keyrings.map(idOf));
  return keyring.id;
}

function noKey(): SealiftError {
  return new SealiftError('no-key', 'No key was named', {
    hint: 'Give --kms-key with a KMS key, or --raw-key with a key file (`sealift keygen FILE` makes one).',
  });
}

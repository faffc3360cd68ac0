/**
 * The data-key cache: one call to a keyring serves many objects. It is a keyring itself, wrapped around another.
 *
 * An entry is one data key for one side (seal or open), keyring and encryption context. It is made when first asked
 * for; whoever asks for the same meanwhile waits for the same call, and everybody gets a copy of the key's bytes. It
 * serves until its age, messages or plain bytes are used up. Then it is evicted: nobody new finds it, and its bytes
 * are zeroed as soon as those who did find it have their copies.
 *
 * One caller's abort is his own. The call goes on for the others, and is given up when the last of them is gone.
 */
import { hash } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { encodeContext } from '../formats/esdk/context.ts';
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { TiB } from '../units.ts';
import { CacheEntry, type KeyLimits } from './cache-entry.ts';
import { sealingMaterials } from './data-key.ts';
import type { DataKey, Keyring, KeyringRequest, OpenKeyRequest, SealingMaterials } from './keyring.ts';

export interface CacheLimits {
  /** How long a data key is used, from the moment it was asked for. Default 1 hour. */
  maxAgeMs?: number | undefined;
  /** Objects that one data key seals or opens. Default 100,000; 1 means no reuse. */
  maxMessages?: number | undefined;
  /** Plain bytes that one data key serves, as requests give them. A larger object has a key to itself. Default 1 TiB. */
  maxBytes?: number | undefined;
  /** Data keys kept; the one not used for longest makes room. Default 1,000. */
  maxEntries?: number | undefined;
}

/** How much one data key is used where nobody says otherwise. */
export const DEFAULT_KEY_LIMITS: KeyLimits = { maxAgeMs: 3_600_000, maxMessages: 100_000, maxBytes: TiB };

/** What the data-key cache has saved. */
export interface CacheStats {
  /** Requests that needed no call of their own. */
  hits: number;
  /** Calls to the keyring underneath. */
  misses: number;
}

export interface CachingKeyring extends Keyring {
  stats(): CacheStats;
  /** Zeroes every key and gives up every call. Requests after it are refused. */
  close(): void;
}

export function cachingKeyring(keyring: Keyring, limits: CacheLimits = {}): CachingKeyring {
  return new DataKeyCache(keyring, limits);
}

class DataKeyCache implements CachingKeyring {
  readonly id: string;
  readonly #keyring: Keyring;
  readonly #limits: KeyLimits;
  readonly #maxEntries: number;
  /** By cache id; the least recently used first. */
  readonly #entries = new Map<string, CacheEntry>();
  #hits = 0;
  #misses = 0;
  #closed = false;

  constructor(keyring: Keyring, limits: CacheLimits) {
    const { maxEntries = 1000, ...others } = limits;
    const { maxAgeMs, maxMessages, maxBytes } = DEFAULT_KEY_LIMITS;
    this.id = keyring.id;
    this.#keyring = keyring;
    this.#limits = {
      maxAgeMs: others.maxAgeMs ?? maxAgeMs,
      maxMessages: others.maxMessages ?? maxMessages,
      maxBytes: others.maxBytes ?? maxBytes,
    };
    this.#maxEntries = maxEntries;
  }

  async makeDataKey(request: KeyringRequest): Promise<SealingMaterials> {
    if (request.cacheable === false) return this.#uncached(() => this.#keyring.makeDataKey(request));
    const id = cacheId('seal', this.id, request, []);
    return this.#serve(id, request, (signal) => this.#keyring.makeDataKey({ ...request, signal }));
  }

  async openDataKey(request: OpenKeyRequest): Promise<DataKey> {
    const { encryptedDataKeys, dataKeySize = DATA_KEY_SIZE, cacheable = true } = request;
    if (!cacheable) return this.#uncached(() => this.#keyring.openDataKey(request));
    const id = cacheId(`open ${dataKeySize}`, this.id, request, encryptedDataKeys);
    const materials = await this.#serve(id, request, async (signal) =>
      sealingMaterials(await this.#keyring.openDataKey({ ...request, signal }), encryptedDataKeys),
    );
    return materials.dataKey;
  }

  #uncached<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed) throw closedError();
    this.#misses += 1;
    return ask();
  }

  stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses };
  }

  close(): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) entry.abort(closedError());
    this.#entries.clear();
  }

  async #serve(
    id: string,
    { signal, plainSize = 0 }: KeyringRequest,
    load: (signal: AbortSignal) => Promise<SealingMaterials>,
  ): Promise<SealingMaterials> {
    if (this.#closed) throw closedError();
    if (signal?.aborted) throw SealiftError.interrupted(signal, 'Asking for a data key');
    const entry = this.#find(id, plainSize) ?? this.#add(id, load);
    try {
      return await entry.take({ plainSize, signal });
    } catch (error) {
      // Where the call itself failed the next request tries again; where everybody is gone the call has no purpose.
      if (!signal?.aborted || entry.isIdle) this.#evict(id, entry);
      throw error;
    }
  }

  #find(id: string, plainSize: number): CacheEntry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    if (!entry.hasRoomFor(plainSize)) {
      this.#evict(id, entry);
      return undefined;
    }
    this.#hits += 1;
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry;
  }

  #add(id: string, load: (signal: AbortSignal) => Promise<SealingMaterials>): CacheEntry {
    this.#misses += 1;
    const entry = new CacheEntry({ limits: this.#limits, load, onExpired: () => this.#evict(id, entry) });
    this.#entries.set(id, entry);
    if (this.#entries.size > this.#maxEntries) {
      const [oldestId, oldest] = this.#entries.entries().next().value!;
      this.#evict(oldestId, oldest);
    }
    return entry;
  }

  #evict(id: string, entry: CacheEntry): void {
    if (this.#entries.get(id) === entry) this.#entries.delete(id);
    entry.retire();
  }
}

/** What requests must have in common to share a data key. Every field stands behind its size. */
function cacheId(
  use: string,
  keyringId: string,
  { encryptionContext, contentAlgorithm = '' }: KeyringRequest,
  encryptedDataKeys: readonly EncryptedDataKey[],
): string {
  const fields: (string | Buffer)[] = [use, keyringId, contentAlgorithm, encodeContext(encryptionContext)];
  for (const { providerId, providerInfo, ciphertext } of encryptedDataKeys) {
    fields.push(providerId, providerInfo, ciphertext);
  }
  const pieces = fields.flatMap((field) => [Buffer.from(`${Buffer.byteLength(field)}:`), Buffer.from(field)]);
  return hash('sha256', Buffer.concat(pieces), 'base64');
}

function closedError(): SealiftError {
  return new SealiftError('interrupted', 'The data-key cache is closed');
}

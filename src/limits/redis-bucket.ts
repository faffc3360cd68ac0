/**
 * What many processes share, in a Redis: a hundred units, each held by one process at a time. It is bottleneck's clustered
 * limiter with `maxConcurrent`: a unit is a job that runs as long as it is held, and the next one that is free goes to the
 * process that has the fewest. Measured (bottleneck 2.19.5, Redis 7.0):
 *
 * - on a lost connection its jobs hang without a word, so one error is the end of this bucket: another is opened;
 * - it wakes who waits on its heartbeat, every 5 s unless told otherwise;
 * - its scripts take the time from whoever calls, so the clocks of all machines must agree to some seconds.
 *
 * A bucket that is new in its Redis is empty at first. The Redis may have been restarted, and processes that held units may
 * still be spending what they keep to meanwhile.
 */
import Bottleneck from 'bottleneck';
import type { Redis } from 'ioredis';
import { SealiftError } from '../errors.ts';
import { caBundleFromEnvironment, tlsOptions } from '../network.ts';

export const UNIT_COUNT = 100;
/** How long a unit is held. */
export const LEASE_MS = 5_000;
/** A process that is gone gives nothing back: after so long its units are free. What lies beyond a lease is for clocks that differ. */
const EXPIRY_MS = 10_000;
/** Until a new bucket has anything; longer than a lease, and than `KEPT_MS` (shared.ts) and a slow reconnection together. */
const EMPTY_MS = 8_000;

const HEARTBEAT_MS = 250;
/** No call waits longer for Redis. */
const CALL_DEADLINE_MS = 2_000;
const CONNECT_DEADLINE_MS = 3_000;
/** Bottleneck's reservoir is what is empty at first; then it is never the limit. */
const PLENTY = 1e9;

export interface BucketOptions {
  /** One that `checkRedisUrl` takes. */
  url: string;
  /** Of the limit that is shared. */
  id: string;
  emptyMs?: number | undefined;
}

export class RedisBucket {
  readonly #connection: Bottleneck.IORedisConnection;
  readonly #bottleneck: Bottleneck;
  readonly #lose: (error: Error) => void;
  #isOpen = true;

  private constructor(client: Redis, { id, emptyMs = EMPTY_MS }: BucketOptions, onLost: (error: Error) => void) {
    this.#lose = (error) => {
      if (!this.#isOpen) return;
      this.close();
      onLost(error);
    };
    this.#connection = new Bottleneck.IORedisConnection({ client });
    this.#connection.on('error', this.#lose);
    // It has a second connection, which its types do not tell: that a unit is free is heard over it.
    const { subscriber } = this.#connection as unknown as { subscriber: Redis };
    for (const each of [client, subscriber]) {
      each.on('error', this.#lose);
      each.on('close', () => this.#lose(new Error('The connection is closed')));
    }
    this.#bottleneck = new Bottleneck({
      id,
      datastore: 'ioredis',
      connection: this.#connection,
      heartbeatInterval: HEARTBEAT_MS,
      clientTimeout: EXPIRY_MS,
      maxConcurrent: UNIT_COUNT,
      reservoir: 0,
      reservoirRefreshInterval: emptyMs,
      reservoirRefreshAmount: PLENTY,
    });
    this.#bottleneck.on('error', this.#lose);
  }

  /** Connects. Throws `bad-option`, `limiter-unavailable`. `onLost` is called once, where the bucket is lost later. */
  static async open(options: BucketOptions, onLost: (error: Error) => void): Promise<RedisBucket> {
    const { Redis } = await import('ioredis');
    const failed = Promise.withResolvers<never>();
    let tell: (error: Error) => void = failed.reject;
    const client = new Redis(options.url, { ...CONNECTION, ...tlsFor(options.url) });
    const bucket = new RedisBucket(client, options, (error) => tell(error));
    const timer = setTimeout(
      () => failed.reject(new Error(`No answer for ${CONNECT_DEADLINE_MS} ms`)),
      CONNECT_DEADLINE_MS,
    );
    try {
      await Promise.race([bucket.#bottleneck.ready(), failed.promise]);
      tell = onLost;
      return bucket;
    } catch (error) {
      bucket.close();
      throw unavailable(options.url, error as Error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls `hold` when a unit is granted, which is given back when the promise it returns ends. Of a lost bucket it is never called. */
  ask(hold: () => Promise<void>): void {
    // Of a call that Redis refuses, or answers too late, bottleneck tells nobody but who asked.
    this.#bottleneck.schedule({ weight: 1, expiration: EXPIRY_MS }, hold).catch(this.#lose);
  }

  /** Lets go of the connection. What is held is free once it expires. */
  close(): void {
    this.#isOpen = false;
    void this.#connection.disconnect(false);
  }
}

const CONNECTION = {
  connectTimeout: CONNECT_DEADLINE_MS,
  commandTimeout: CALL_DEADLINE_MS,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  // A lost connection is a lost bucket: who uses it connects anew.
  retryStrategy: () => null,
};

/** Throws `bad-option` for the certificates of the environment. */
function tlsFor(url: string) {
  return new URL(url).protocol === 'rediss:' ? { tls: tlsOptions(caBundleFromEnvironment()) } : {};
}

/** Throws `bad-option` unless it is the URL of a Redis. */
export function checkRedisUrl(text: string): void {
  const url = URL.parse(text);
  if (url?.hostname && ['redis:', 'rediss:'].includes(url.protocol)) return;
  // What it is instead is not told: there may be a password in it.
  throw new SealiftError('bad-option', '--limiter is not the URL of a Redis', {
    hint: 'Write redis://HOST:PORT/DATABASE, or rediss:// for TLS.',
  });
}

/** Without the password that may be in it. */
export function hostOf(url: string): string {
  return new URL(url).host;
}

export function unavailable(url: string, cause: Error): SealiftError {
  return new SealiftError('limiter-unavailable', `The limiter's Redis at ${hostOf(url)}: ${cause.message}`, {
    hint: 'Start it, or check --limiter. Without --limiter this process limits itself, and knows of no other.',
    cause,
  });
}

/**
 * How fast this machine and the way to the store are, tried out for some two seconds: the source is read, some of it is
 * sealed under a key that nobody keeps, small objects go all the way but for the network, and HEAD is asked of DEST.
 * Nothing is written but in a folder of its own beside the jobs, which goes again. Of a bucket's objects none is read, for
 * that may cost: files as long as they are stand in.
 */
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDenied } from '../errors.ts';
import { roomFor } from '../formats/message.ts';
import type { Place, Tools } from '../job.ts';
import { rawAesKeyring } from '../keys/raw-aes.ts';
import { sealInto } from '../parts/seal-once.ts';
import { openSource } from '../parts/source.ts';
import type { SealOptions } from '../put/attempt.ts';
import { formatFor } from '../put/format.ts';
import { put } from '../put.ts';
import { freshRandom } from '../random.ts';
import type { ObjectInfo, Store } from '../stores/store.ts';
import { MiB } from '../units.ts';
import type { PlannedObject } from './sources.ts';
import type { LargestObject } from './tally.ts';
import type { Speeds } from './time.ts';

/** Each of the trials ends after so long. */
const TRIAL_MS = 500;
const READ_SIZE = 4 * MiB;
/** Enough for several parts; what lies behind is sealed no slower. */
const MOST_SEALED = 32 * MiB;
/** The first takes longer: it connects. */
const MOST_ROUND_TRIPS = 8;

export interface Stage {
  /** The largest source, and one that goes whole, where there are such. */
  largest: Pick<LargestObject, 'path' | 'plainBytes'>;
  whole: PlannedObject | undefined;
  /** They are moved by one migration. */
  isMany: boolean;
  /** Else they are objects of a bucket. */
  areFiles: boolean;
  place: Place;
  options: SealOptions;
  tools: Tools;
}

/** Throws what `put` would throw of a source that cannot be read, or a bucket that is not there. */
export async function rehearse(stage: Stage): Promise<Speeds> {
  const { largest, whole, isMany, areFiles, place, options, tools } = stage;
  const folder = await mkdtemp(join(tools.stateDir, 'plan-'));
  try {
    const fileOf = async (path: string, size: number) => (areFiles ? path : await standIn(folder, size));
    const file = await fileOf(largest.path, Math.min(largest.plainBytes, MOST_SEALED));
    const small = whole && (await fileOf(whole.path, whole.size));
    const { secondsPerByte } = await sealFor(file, options);
    const { secondsPerMessage, messageSize } = await (small && isMany ? sealFor(small, options) : NOTHING_SEALED);
    return {
      roundTripSeconds: await timeRoundTrip(place),
      readBytesPerSecond: areFiles ? await readFor(file) : Number.POSITIVE_INFINITY,
      sealSecondsPerByte: secondsPerByte,
      sealSecondsPerObject: Math.max(0, secondsPerMessage - messageSize * secondsPerByte),
      secondsPerObject: small ? await putFor(small, folder, { options, tools }) : 0,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A file of so many zeros, which take no room and are sealed as fast as anything else. */
async function standIn(folder: string, size: number): Promise<string> {
  const path = join(folder, String(size));
  await writeFile(path, '');
  await truncate(path, size);
  return path;
}

/** The median of several, each on the connection of the one before. */
async function timeRoundTrip({ store, key }: Place): Promise<number> {
  const times: number[] = [];
  const endMs = performance.now() + TRIAL_MS;
  for (let count = 0; count < MOST_ROUND_TRIPS && (count < 2 || performance.now() < endMs); count++) {
    const startMs = performance.now();
    await store.head(key).catch((error) => {
      // Who may write and not look has waited as long for that answer.
      if (!isDenied(error)) throw error;
    });
    times.push((performance.now() - startMs) / 1000);
  }
  const others = times.slice(1).sort((one, other) => one - other);
  return others[others.length >> 1]!;
}

async function readFor(path: string): Promise<number> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(READ_SIZE);
  const startMs = performance.now();
  let size = 0;
  while (performance.now() - startMs < TRIAL_MS) {
    const { bytesRead } = await file.read(buffer, 0, READ_SIZE, size);
    if (bytesRead === 0) break;
    size += bytesRead;
  }
  return size === 0 ? Number.POSITIVE_INFINITY : (size * 1000) / (performance.now() - startMs);
}

const NOTHING_SEALED = { secondsPerByte: 0, secondsPerMessage: 0, messageSize: 0 };

/** What it takes to read, seal and sum up, beside whatever else this machine is at. */
async function sealFor(path: string, options: SealOptions): Promise<typeof NOTHING_SEALED> {
  const { file, identity: source } = await openSource(path);
  await file.close();
  const size = Math.min(source.size, MOST_SEALED);
  if (size === 0) return NOTHING_SEALED;
  // Also for what is not to be sealed: how fast a machine seals tells how fast it sends, and sending is most of it.
  const format = formatFor({ format: options.format });
  const cut = format.cutFile(size);
  const { partCount } = cut.layout;
  const startMs = performance.now();
  const endMs = startMs + TRIAL_MS;
  let sealed = 0;
  let count = 0;
  for (; performance.now() < endMs; count++) {
    using materials = await throwawayKeyring().makeDataKey(format.keyNeeds!);
    const { dataKey, encryptedDataKeys } = materials;
    const { message, header } = format.begin({ dataKey: dataKey.bytes, encryptedDataKeys, cut, objectKey: '' });
    for (let number = 1; number <= partCount && performance.now() < endMs; number++) {
      const room = roomFor(message, number);
      const { intent } = await sealInto(Buffer.allocUnsafe(room), { message, source, header, number });
      sealed += intent.sealedSize;
    }
  }
  const seconds = (performance.now() - startMs) / 1000;
  return { secondsPerByte: seconds / sealed, secondsPerMessage: seconds / count, messageSize: sealed / count };
}

/** Seconds an object that goes whole takes here, its ledger's disk among them. */
async function putFor(
  source: string,
  stateDir: string,
  { options, tools }: Pick<Stage, 'options' | 'tools'>,
): Promise<number> {
  // What decides how it is cut: the same file goes whole here, too.
  const { seal, format, partSize, frameSize, equalParts, sign } = options;
  const cutting = { seal, format, partSize, frameSize, equalParts, sign };
  const rehearsal: Tools = { ...tools, stateDir, keyring: throwawayKeyring(), place: nowhere };
  const startMs = performance.now();
  let count = 0;
  for (; count < 1 || performance.now() - startMs < TRIAL_MS; count++) {
    await put({ ...cutting, source, target: `s3://nowhere/${count}` }, rehearsal);
  }
  return (performance.now() - startMs) / 1000 / count;
}

/** A place for one object that goes whole: it remembers what S3 would tell of it, and no bytes. */
async function nowhere(url: string): Promise<Place> {
  let there: ObjectInfo | undefined;
  const store: Pick<Store, 'url' | 'head' | 'putObject' | 'withCustomerKey' | 'close'> = {
    url: () => url,
    withCustomerKey: () => store as Store,
    head: async () => there,
    async putObject(_key, { byteLength: size }, { metadata, crc32 }) {
      there = { size, etag: '"nowhere"', metadata, crc32 };
      return there;
    },
    close: () => {},
  };
  // Nothing else is asked of the store of such an object.
  return { url, key: url, store: store as Store, settings: { directory: url }, credentials: async () => undefined };
}

function throwawayKeyring() {
  return rawAesKeyring({ namespace: 'plan', name: 'rehearsal', key: freshRandom(32) });
}

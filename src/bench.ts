/**
 * `bench`: how fast this machine and a bucket are, and which settings suit them. The disk and the processor are measured
 * alone; then a file is put and got under one setting after the other, in short rounds, each setting twice, there and back
 * again, so that what drifts meanwhile strikes all of them alike. The best is looked at part by part.
 */
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BenchMeans, BenchRequest, BenchResult } from './bench/api.ts';
import {
  type Bounds,
  bestOf,
  firstSettings,
  flagsFor,
  scoresOf,
  threadCounts,
  variantCount,
  variants,
} from './bench/choose.ts';
import { timeChore } from './bench/cipher.ts';
import { type DiskSpeed, readFor, writeRandom } from './bench/disk.ts';
import { limitOf } from './bench/limit.ts';
import type { BenchObjects } from './bench/objects.ts';
import {
  type Files,
  filesIn,
  type Lifter,
  type Profile,
  type Round,
  runRound,
  type Settings,
  STARTER_SIZE,
  type Trial,
} from './bench/round.ts';
import { SealiftError } from './errors.ts';
import { targetError } from './parts/open-part.ts';
import { GiB, MiB } from './units.ts';

/** Of all the time, for each thing that is measured alone. */
const ALONE_SHARE = 0.01;
/** What is put first, to know how much fits into a round; and the least that a round has. */
const FIRST_SIZE = 32 * MiB;
const ROUND_STEP = 8 * MiB;
const MOST_SIZE = 3 * GiB;
/** Of all the time, for the last put and get: they are long, because their course is looked at. */
const LAST_SHARE = 0.2;
/** An engine's start and end, beside each round. */
const ENGINE_SECONDS = 0.4;
/** Of the folder's free space, for what is put and as much again for what is got. */
const SPACE_SHARE = 1 / 8;

/** The order in which settings are decided on. */
const AXES = ['threads', 'lanes', 'partSize'] as const;

/** Throws what a put and a get throw. Whatever happens, what it wrote is removed, or named in a warning. */
export async function bench(request: BenchRequest, means: BenchMeans): Promise<BenchResult> {
  const { objects } = means;
  const { signal, onEvent } = request;
  const roundTripSeconds = await objects.roundTrip();
  const path = join(request.folder, 'sealift-bench-');
  const folder = await mkdtemp(path).catch((error) => {
    throw targetError(path, error);
  });
  try {
    return await new Bench(request, means, folder).run(roundTripSeconds);
  } catch (error) {
    throw signal?.aborted ? interrupted(objects) : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
    // A sandbox goes as a whole, and Ctrl-C has reached it too.
    const left = request.isSandbox ? [] : await objects.clear();
    for (const url of left) onEvent({ type: 'warning', message: `${url} may still be there: remove it yourself` });
  }
}

class Bench {
  readonly #request: BenchRequest;
  readonly #means: BenchMeans;
  readonly #folder: string;
  readonly #files: Files;
  readonly #cores = availableParallelism();
  readonly #startMs = performance.now();
  readonly #rounds: Round[] = [];
  #roundSize = FIRST_SIZE;
  #mostSize = MOST_SIZE;

  constructor(request: BenchRequest, means: BenchMeans, folder: string) {
    this.#request = request;
    this.#means = means;
    this.#folder = folder;
    this.#files = filesIn(folder);
  }

  async run(roundTripSeconds: number): Promise<BenchResult> {
    const { isSandbox, bwlimit, fixed, onEvent } = this.#request;
    const { prefix } = this.#means.objects;
    const dataKeySeconds = await this.#timeDataKey();
    const { bavail, bsize } = await statfs(this.#folder);
    this.#mostSize = Math.max(FIRST_SIZE, Math.min(MOST_SIZE, SPACE_SHARE * bavail * bsize));
    onEvent({ type: 'bench', prefix, folder: this.#folder, mostBytes: this.#mostSize });
    const disk = await this.#timeDisk();
    const { cipher, checksumBytesPerSecond } = await this.#timeProcessor();
    await this.#first();
    const best = await this.#choose();
    const { put, get } = await this.#last(best);
    const lanesRounds = this.#of('lanes');
    return {
      at: new Date().toISOString(),
      machine: {
        processor: cpus()[0]?.model ?? 'unknown',
        cores: this.#cores,
        memoryBytes: totalmem(),
        node: process.versions.node,
        platform: `${process.platform} ${process.arch}`,
      },
      target: { prefix, isSandbox, roundTripSeconds, dataKeySeconds },
      seconds: (performance.now() - this.#startMs) / 1000,
      disk,
      cipher,
      checksumBytesPerSecond,
      rounds: this.#rounds,
      put,
      get,
      best: {
        ...best,
        flags: flagsFor(best),
        compared: scoresOf(this.#of(...AXES)).length,
        allGiven: AXES.every((axis) => fixed[axis] !== undefined),
      },
      limit: limitOf({ put, disk, lanesRounds, cores: this.#cores, isSandbox, bwlimit }),
    };
  }

  /** Seals one byte on the disk: a key that is refused is told before anything else is written. */
  async #timeDataKey(): Promise<number> {
    const source = join(this.#folder, 'byte');
    await writeRandom(source, 1);
    await using engine = await this.#engine({ threads: 1, lanes: 1 });
    const target = pathToFileURL(`${source}.sealed`).href;
    const { signal } = this.#request;
    const { stages } = await engine.put({ source, target, profileStages: true, signal });
    return stages!.kms;
  }

  async #timeDisk(): Promise<DiskSpeed> {
    const { signal } = this.#request;
    await writeRandom(this.#files.starter, STARTER_SIZE, signal);
    const writeBytesPerSecond = await writeRandom(this.#files.source, FIRST_SIZE, signal);
    return { writeBytesPerSecond, ...(await readFor(this.#files.source, 3 * this.#aloneMs())) };
  }

  async #timeProcessor(): Promise<Pick<BenchResult, 'cipher' | 'checksumBytesPerSecond'>> {
    const ms = this.#aloneMs();
    const cipher: BenchResult['cipher'] = [];
    for (const threads of threadCounts(this.#cores)) {
      this.#checkNotStopped();
      cipher.push({ threads, bytesPerSecond: await timeChore('cipher', { threads, ms }) });
    }
    return { cipher, checksumBytesPerSecond: await timeChore('checksum', { threads: 1, ms }) };
  }

  /** Puts twice, for the first one connects. That also shows that it may, and that it may remove what it has put. */
  async #first(): Promise<void> {
    const settings = firstSettings(this.#bounds());
    await this.#put('first', settings);
    if (!this.#isLate()) await this.#put('first', settings);
  }

  /** One thing after the other, each with the best of those before. */
  async #choose(): Promise<Settings> {
    let best = firstSettings(this.#bounds());
    for (const [index, axis] of AXES.entries()) {
      await this.#fill(this.#secondsLeft() / (AXES.length - index), 2 * variantCount(axis, this.#bounds()));
      const tried = variants(axis, best, this.#bounds());
      // There and back again, unless there is nothing to compare.
      for (const settings of tried.length > 1 ? [...tried, ...tried.toReversed()] : tried) {
        if (this.#isLate()) break;
        await this.#put(axis, settings);
      }
      const rounds = this.#of(axis);
      if (rounds.length > 0) best = bestOf(rounds);
      if (axis === 'threads') await this.#getByThreads(tried);
    }
    return best;
  }

  async #getByThreads(tried: readonly Settings[]): Promise<void> {
    if (this.#isLate()) return;
    const object = this.#means.objects.next();
    await this.#round({ trial: 'object', command: 'put', ...tried.at(-1)! }, object);
    for (const settings of tried) await this.#round({ trial: 'threads', command: 'get', ...settings }, object);
    await this.#means.objects.remove();
  }

  async #last(best: Settings): Promise<{ put: Profile; get: Profile }> {
    await this.#fill(this.#secondsLeft() + LAST_SHARE * this.#request.seconds, 2);
    const object = this.#means.objects.next();
    const put = await this.#round({ trial: 'last', command: 'put', ...best }, object);
    const get = await this.#round({ trial: 'last', command: 'get', ...best }, object);
    await this.#means.objects.remove();
    return { put, get };
  }

  /** Puts an object and removes it. */
  async #put(trial: Trial, settings: Settings): Promise<Profile> {
    const profile = await this.#round({ trial, command: 'put', ...settings }, this.#means.objects.next());
    await this.#means.objects.remove();
    return profile;
  }

  async #round(wanted: Settings & Pick<Round, 'command' | 'trial'>, object: string): Promise<Profile> {
    this.#checkNotStopped();
    const { threads, lanes } = wanted;
    const { signal, onEvent, isSandbox } = this.#request;
    await using engine = await this.#engine({ threads, lanes });
    const onLeft = (url: string) => {
      // A sandbox goes as a whole.
      if (isSandbox) return;
      onEvent({ type: 'warning', message: `An upload of ${url} could not be aborted: doctor shows it` });
    };
    const profile = await runRound(engine, wanted, { files: this.#files, object, signal, onLeft });
    const { stages, progress, partSeconds, ...round } = profile;
    this.#rounds.push(round);
    onEvent({ type: 'round', ...round });
    return profile;
  }

  /** What starts a round's threads has a data key too: reused, it would spare the round what a job that comes alone waits for. */
  #engine(work: { threads: number; lanes: number }): Promise<Lifter> {
    return this.#means.engine({ ...work, stateDir: join(this.#folder, 'state'), keyReuse: 'off' });
  }

  /** Makes the source so large that so many rounds of it fill the time, as fast as rounds have been up to now. */
  async #fill(seconds: number, roundCount: number): Promise<void> {
    const fastest = Math.max(...this.#rounds.map(({ bytesPerSecond }) => bytesPerSecond));
    const wanted = fastest * (seconds / roundCount - ENGINE_SECONDS);
    const size = ROUND_STEP * Math.floor(Math.min(wanted, this.#mostSize) / ROUND_STEP);
    if (size <= this.#roundSize) return;
    await writeRandom(this.#files.source, size, this.#request.signal);
    this.#roundSize = size;
  }

  /** Puts of these trials. */
  #of(...trials: Trial[]): Round[] {
    return this.#rounds.filter((round) => trials.includes(round.trial) && round.command === 'put');
  }

  #bounds(): Bounds {
    const { maxMemory, fixed } = this.#request;
    return { cores: this.#cores, maxMemory, fixed, size: this.#roundSize };
  }

  #aloneMs(): number {
    return ALONE_SHARE * this.#request.seconds * 1000;
  }

  /** Before the last put and get have to begin. */
  #secondsLeft(): number {
    const spent = (performance.now() - this.#startMs) / 1000;
    return (1 - LAST_SHARE) * this.#request.seconds - spent;
  }

  #isLate(): boolean {
    return this.#secondsLeft() < 0;
  }

  #checkNotStopped(): void {
    const { signal } = this.#request;
    if (signal?.aborted) throw interrupted(this.#means.objects);
  }
}

function interrupted({ prefix }: BenchObjects): SealiftError {
  return new SealiftError('interrupted', `Interrupted: what was written under ${prefix} is removed again`, {
    hint: 'Run it again for its figures: it begins anew.',
  });
}

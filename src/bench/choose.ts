/** Which settings are best, from rounds that were run in pairs. Arithmetic only. */
import { SealiftError } from '../errors.ts';
import { planLayout } from '../formats/plain/layout.ts';
import { laneSizeOf, type MemoryPlan, type MemoryRequest, planMemory, THREAD_SIZE } from '../parts/memory.ts';
import { formatSize, MiB } from '../units.ts';
import { type Round, type Settings, STARTER_PART_SIZE, STARTER_SIZE } from './round.ts';

/** What is not this much faster is not worth its memory: rounds differ by as much from run to run. */
const WORTH = 0.05;
/** Parts in flight for each thread that are tried. */
const LANES_PER_THREAD = [1, 2, 4, 8];
const PART_SIZES = [8 * MiB, 16 * MiB, 32 * MiB, 64 * MiB];
const MOST_THREADS = 8;
/** A round needs so many parts for each lane, or it tells of its beginning and end alone. */
const LEAST_TURNS = 2;

/** What limits the choice. */
export interface Bounds {
  cores: number;
  maxMemory: number | undefined;
  /** Plain bytes of a round. */
  size: number;
  /** What the user has decided already. */
  fixed: Partial<Settings>;
}

/** Throws `bad-size`, `memory-too-small` where a job would. What starts the threads has the least parts there are. */
export function checkGiven({ maxMemory, fixed }: Pick<Bounds, 'maxMemory' | 'fixed'>): void {
  planLayout({ plainSize: STARTER_SIZE, partSize: fixed.partSize });
  planMemory({ maxMemory, threadCount: fixed.threads, laneCount: fixed.lanes }, laneSizeOf(STARTER_PART_SIZE));
}

/** Where it begins: small parts, on every core that there is memory for. */
export function firstSettings(bounds: Bounds): Settings {
  const { cores, fixed } = bounds;
  const partSize = fixed.partSize ?? PART_SIZES[0]!;
  const counts = fixed.threads === undefined ? threadCounts(cores).toReversed() : [fixed.threads];
  const all = counts.map((threads) => ({ threads, lanes: usualLanes(threads, partSize, bounds), partSize }));
  return all.find((settings) => fitsMemory(settings, bounds)) ?? all.at(-1)!;
}

/** Lanes that a job of so many threads begins with, or fewer where a round is too short for that. */
function usualLanes(threads: number, partSize: number, { fixed, size, maxMemory }: Bounds): number {
  if (fixed.lanes !== undefined) return fixed.lanes;
  const turns = Math.floor(size / (LEAST_TURNS * partSize));
  const plan = planned({ maxMemory, threadCount: threads }, partSize);
  return Math.max(threads, Math.min(plan?.lanes.start ?? 0, turns));
}

/**
 * Settings that differ from `base` in the number of threads alone, or of parts in flight, or in the part size. Where none
 * fits it is `base` itself.
 */
export function variants(axis: keyof Settings, base: Settings, bounds: Bounds): Settings[] {
  const fitting = variantsOf(axis, base, bounds).filter(
    (settings) => settings.lanes * settings.partSize * LEAST_TURNS <= bounds.size && fitsMemory(settings, bounds),
  );
  return fitting.length > 0 ? fitting : [base];
}

/** How many `variants` there are at most. */
export function variantCount(axis: keyof Settings, bounds: Bounds): number {
  return variantsOf(axis, firstSettings(bounds), bounds).length;
}

function variantsOf(axis: keyof Settings, base: Settings, bounds: Bounds): Settings[] {
  const { cores, fixed } = bounds;
  if (fixed[axis] !== undefined) return [base];
  if (axis === 'partSize') return PART_SIZES.map((partSize) => ({ ...base, partSize }));
  if (axis === 'lanes') return LANES_PER_THREAD.map((lanes) => ({ ...base, lanes: lanes * base.threads }));
  return threadCounts(cores).map((threads) => {
    return { ...base, threads, lanes: usualLanes(threads, base.partSize, bounds) };
  });
}

/** 1, 2, 4, 8 threads, and as many as there are cores. */
export function threadCounts(cores: number): number[] {
  const most = Math.min(cores, MOST_THREADS);
  return [1, 2, 4].filter((count) => count < most).concat(most);
}

function fitsMemory({ threads, lanes, partSize }: Settings, { maxMemory }: Bounds): boolean {
  return planned({ maxMemory, threadCount: threads, laneCount: lanes }, partSize) !== undefined;
}

/** Undefined where memory is too small for that. */
function planned(request: MemoryRequest, partSize: number): MemoryPlan | undefined {
  try {
    return planMemory(request, laneSizeOf(partSize));
  } catch (error) {
    if (SealiftError.from(error).code === 'memory-too-small') return undefined;
    throw error;
  }
}

/** Settings, and how fast their rounds were: the mean of those that were run. */
export interface Score extends Settings {
  bytesPerSecond: number;
}

/** In the order in which they were first tried. */
export function scoresOf(rounds: readonly Round[]): Score[] {
  const groups = Map.groupBy(rounds, ({ threads, lanes, partSize }) => `${threads} ${lanes} ${partSize}`);
  return [...groups.values()].map((group) => {
    const { threads, lanes, partSize } = group[0]!;
    const sum = group.reduce((bytes, { bytesPerSecond }) => bytes + bytesPerSecond, 0);
    return { threads, lanes, partSize, bytesPerSecond: sum / group.length };
  });
}

/** Of the settings that are as good as the fastest, those that take the least memory. */
export function bestOf(rounds: readonly Round[]): Settings {
  const scores = scoresOf(rounds);
  const fastest = Math.max(...scores.map(({ bytesPerSecond }) => bytesPerSecond));
  const good = scores.filter(({ bytesPerSecond }) => bytesPerSecond >= (1 - WORTH) * fastest);
  const { threads, lanes, partSize } = good.reduce((one, other) => (memoryOf(other) < memoryOf(one) ? other : one));
  return { threads, lanes, partSize };
}

function memoryOf({ threads, lanes, partSize }: Settings): number {
  return threads * THREAD_SIZE + lanes * laneSizeOf(partSize);
}

/** As they are typed. */
export function flagsFor({ partSize, threads, lanes }: Settings): string {
  return `--part-size ${formatSize(partSize).replace(' ', '')} --threads ${threads} --lanes ${lanes}`;
}

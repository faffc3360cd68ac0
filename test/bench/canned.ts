/** A bench's result as one could have come, with figures that are easily told apart. */

import type { BenchResult } from '../../src/bench/api.ts';
import { flagsFor } from '../../src/bench/choose.ts';
import type { Profile, Round, Settings } from '../../src/bench/round.ts';
import { MiB } from '../../src/units.ts';

const SETTINGS: Settings = { threads: 2, lanes: 8, partSize: 8 * MiB };

export function roundOf(round: Partial<Round> & Pick<Round, 'bytesPerSecond'>): Round {
  const bytes = 256 * MiB;
  const seconds = bytes / round.bytesPerSecond;
  return { trial: 'threads', command: 'put', ...SETTINGS, bytes, seconds, cpuSeconds: 1, busy: 0.5, ...round };
}

const PART_COUNT = 64;

/** Parts end one after the other, each sixteenth of them late. */
function profileOf(command: 'put' | 'get', rate: number, stages: Profile['stages']): Profile {
  const round = roundOf({ trial: 'last', command, bytesPerSecond: rate, bytes: PART_COUNT * 8 * MiB, busy: 0.62 });
  const seconds = round.bytes / rate;
  const moments = Array.from({ length: PART_COUNT + 1 }, (_, index) => index / PART_COUNT);
  return {
    ...round,
    seconds,
    stages,
    progress: moments.map((at) => ({ seconds: at ** 1.1 * seconds, bytes: at * round.bytes })),
    partSeconds: moments.slice(1).map((at, index) => ((index % 16 === 15 ? 40 : 10) * MiB + at * MiB) / (rate / 2.5)),
  };
}

export function cannedResult(changes: Partial<BenchResult> = {}): BenchResult {
  const threads = [1, 2, 4].flatMap((count) => {
    const settings = { threads: count, lanes: 4 * count };
    return [
      roundOf({ ...settings, bytesPerSecond: (90 + 40 * count) * MiB }),
      roundOf({ ...settings, bytesPerSecond: (70 + 40 * count) * MiB }),
      roundOf({ ...settings, command: 'get', bytesPerSecond: (100 + 50 * count) * MiB }),
    ];
  });
  return {
    at: '2026-11-24T15:00:00.000Z',
    machine: {
      processor: 'Canned <Processor> & Co',
      cores: 4,
      memoryBytes: 8 * 1024 * MiB,
      node: '24.0.0',
      platform: 'linux x64',
    },
    target: {
      prefix: 's3://backups/sealift-bench-00000000/',
      isSandbox: false,
      roundTripSeconds: 0.0123,
      dataKeySeconds: 0.034,
    },
    seconds: 61,
    disk: { readBytesPerSecond: 1900 * MiB, writeBytesPerSecond: 700 * MiB, isCached: false },
    cipher: [1, 2, 4].map((count) => ({ threads: count, bytesPerSecond: 900 * count ** 0.9 * MiB })),
    checksumBytesPerSecond: 4000 * MiB,
    rounds: threads,
    put: profileOf('put', 250 * MiB, { disk: 1, cipher: 2, checksum: 0.5, ledger: 1.5, network: 14, kms: 1 }),
    get: profileOf('get', 300 * MiB, { disk: 5, cipher: 2, checksum: 0.5, ledger: 0.5, network: 12, kms: 0 }),
    best: { ...SETTINGS, flags: flagsFor(SETTINGS), compared: 9, allGiven: false },
    limit: { by: 'latency', sentence: 'Latency limits your puts: every further part in flight still helps.' },
    ...changes,
  };
}

/**
 * Does the memory model hold? `node bench/memory.ts` runs puts and gets over HTTPS under the smallest `--max-memory`
 * that src/parts/memory.ts allows for their threads, lanes and parts, and prints the peak of each as the kernel counts
 * it. Without the compile cache, which is the worst case. A file of 1 GiB without content does: memory does not look
 * at bytes. `node bench/memory.ts get` runs only rows with that word.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_PART_SIZE } from '../src/formats/esdk/layout.ts';
import { BASE_SIZE, HASH_THREAD_SIZE, laneSizeOf, pipeLaneSizeOf, THREAD_SIZE } from '../src/parts/memory.ts';
import { GiB, MiB } from '../src/units.ts';
import { type SandboxProcess, startSandboxProcess } from '../test/support/cli.ts';
import { writeSparseFile } from '../test/support/files.ts';
import { measure } from '../test/support/measure.ts';

const SIZE = GiB;
const bin = join(import.meta.dirname, '../src/cli/bin.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-memory-'));
const source = join(folder, 'source');
const only = process.argv[2] ?? '';
let worst = 0;

interface Row {
  what: 'put' | 'put signed' | 'put of a pipe' | 'get to a file' | 'get to a pipe';
  threads: number;
  lanes: number;
  partMiB: number;
}

function rows(): Row[] {
  const crews = [
    [1, 1],
    [1, 3],
    [2, 2],
    [2, 6],
    [4, 4],
    [4, 12],
    [8, 8],
  ] as const;
  const puts = [8, 16, 32, 64].flatMap((partMiB) =>
    crews.map(([threads, lanes]) => ({ what: 'put', threads, lanes, partMiB }) as const),
  );
  const signed = crews.map(([threads, lanes]) => ({ what: 'put signed', threads, lanes, partMiB: 8 }) as const);
  const piped = [8, 16, 32].flatMap((partMiB) =>
    crews.slice(0, 4).map(([threads, lanes]) => ({ what: 'put of a pipe', threads, lanes, partMiB }) as const),
  );
  const gets = (['get to a file', 'get to a pipe'] as const).flatMap((what) =>
    crews.map(([threads, lanes]) => ({ what, threads, lanes, partMiB: DEFAULT_PART_SIZE / MiB })),
  );
  return [...puts, ...signed, ...piped, ...gets].filter(({ what }) => what.includes(only));
}

async function peakOf(row: Row, cap: number, sandbox: SandboxProcess): Promise<number> {
  const { what, threads, lanes, partMiB } = row;
  const object = 's3://bkt/object';
  const target = join(folder, 'target');
  const flags = [object, '--overwrite', '--fresh', '--part-size', `${partMiB}MiB`, '--kms-key', 'alias/sandbox'];
  const args = {
    put: ['put', source, ...flags],
    'put signed': ['put', source, ...flags, '--sign'],
    'put of a pipe': ['put', '--from-command', `cat ${source}`, ...flags],
    'get to a file': ['get', object, target, '--overwrite', '--fresh'],
    'get to a pipe': ['get', object, '-'],
  }[what];
  const work = ['--threads', threads, '--lanes', lanes, '--max-memory', cap, '--state-dir', join(folder, 'jobs')];
  const cost = await measure([process.execPath, bin, ...args, ...work.map(String)], {
    env: { ...sandbox.env, NODE_DISABLE_COMPILE_CACHE: '1' },
    into: '> /dev/null',
  });
  if (cost.exit !== 0) throw new Error(`${what} ended with ${cost.exit}: ${cost.stderr}`);
  return cost.peakRssBytes;
}

const inMiB = (bytes: number) => (bytes / MiB).toFixed(0).padStart(5);

writeSparseFile(source, SIZE);
const discarding = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'puts.log'));
const keeping = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'gets.log'));
try {
  await peakOf({ what: 'put', threads: 2, lanes: 6, partMiB: 8 }, 512 * MiB, keeping);
  console.log('what           threads  lanes   part    cap   peak   left (MiB)');
  for (const row of rows()) {
    const { what, threads, lanes, partMiB } = row;
    const base = BASE_SIZE + (what === 'put signed' ? HASH_THREAD_SIZE : 0);
    const laneSize = what === 'put of a pipe' ? pipeLaneSizeOf(partMiB * MiB) : laneSizeOf(partMiB * MiB + MiB / 8);
    const cap = base + threads * THREAD_SIZE + lanes * laneSize;
    const peak = await peakOf(row, cap, what.startsWith('put') ? discarding : keeping);
    worst = Math.max(worst, peak / cap);
    const counts = `${String(threads).padStart(7)} ${String(lanes).padStart(6)} ${String(partMiB).padStart(6)}`;
    console.log(`${what.padEnd(14)} ${counts}  ${inMiB(cap)}  ${inMiB(peak)}  ${inMiB(cap - peak)}`);
  }
  console.log(`The largest share of its cap that a peak took: ${(worst * 100).toFixed(0)} %`);
} finally {
  await discarding.stop();
  await keeping.stop();
  rmSync(folder, { recursive: true });
}

/**
 * Whether the memory model holds: puts and gets over HTTPS under the smallest `--max-memory` that src/parts/memory.ts
 * allows for their threads, lanes and parts, and the peak of each as the kernel counts it. Without the compile cache,
 * which is the worst case. A file without content does: memory does not look at bytes.
 */
import { join } from 'node:path';
import { DEFAULT_PART_SIZE } from '../../src/formats/esdk/layout.ts';
import { BASE_SIZE, HASH_THREAD_SIZE, laneSizeOf, pipeLaneSizeOf, THREAD_SIZE } from '../../src/parts/memory.ts';
import { formatSize, GiB, MiB } from '../../src/units.ts';
import { writeSparseFile } from '../../test/support/files.ts';
import type { Case, Group, Sample, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { bin, url } from './programs.ts';
import { Stage } from './stage.ts';

const SIZE = GiB;

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
  return [...puts, ...signed, ...piped, ...gets];
}

export function memoryGroup({ folder }: Setting): Group {
  const stages = {
    put: new Stage({ folder, name: 'memory-puts', discard: true }),
    get: new Stage({ folder, name: 'memory-gets', discard: false }),
  };
  const source = once(() => {
    const path = join(folder, 'memory');
    writeSparseFile(path, SIZE);
    return path;
  });

  async function peakOf(row: Row, cap: number, stage: Stage): Promise<Sample> {
    const { threads, lanes } = row;
    const work = ['--threads', threads, '--lanes', lanes, '--max-memory', cap, '--state-dir', join(folder, 'jobs')];
    const { peakRssBytes } = await stage.run(
      [process.execPath, bin, ...argsOf(row, source(), folder), ...work.map(String)],
      {
        env: (sandbox) => ({ ...sandbox, NODE_DISABLE_COMPILE_CACHE: '1' }),
        into: '> /dev/null',
      },
    );
    return { peak: peakRssBytes / MiB, memoryShare: peakRssBytes / cap };
  }

  const object = once(() =>
    peakOf({ what: 'put', threads: 2, lanes: 6, partMiB: DEFAULT_PART_SIZE / MiB }, 512 * MiB, stages.get),
  );
  const caseOf = (row: Row): Case => {
    const isPut = row.what.startsWith('put');
    const counts = `threads ${row.threads}, lanes ${row.lanes}, parts of ${row.partMiB} MiB`;
    return {
      name: `${row.what}, ${counts}`,
      prepare: async () => void (isPut || (await object())),
      run: () => peakOf(row, capOf(row), isPut ? stages.put : stages.get),
    };
  };
  return {
    name: 'memory',
    isSeldom: true,
    about: `${formatSize(SIZE)} without content over HTTPS, each under the least --max-memory that is allowed for it`,
    cases: rows().map(caseOf),
    close: async () => {
      for (const stage of Object.values(stages)) await stage[Symbol.asyncDispose]();
    },
  };
}

/** The least `--max-memory` for so many threads and lanes. */
function capOf({ what, threads, lanes, partMiB }: Row): number {
  const base = BASE_SIZE + (what === 'put signed' ? HASH_THREAD_SIZE : 0);
  const laneSize = what === 'put of a pipe' ? pipeLaneSizeOf(partMiB * MiB) : laneSizeOf(partMiB * MiB + MiB / 8);
  return base + threads * THREAD_SIZE + lanes * laneSize;
}

function argsOf({ what, partMiB }: Row, source: string, folder: string): string[] {
  const object = url('memory');
  const flags = [object, '--overwrite', '--fresh', '--part-size', `${partMiB}MiB`, '--kms-key', 'alias/sandbox'];
  return {
    put: ['put', source, ...flags],
    'put signed': ['put', source, ...flags, '--sign'],
    'put of a pipe': ['put', '--from-command', `cat ${source}`, ...flags],
    'get to a file': ['get', object, join(folder, 'memory-target'), '--overwrite', '--fresh'],
    'get to a pipe': ['get', object, '-'],
  }[what];
}

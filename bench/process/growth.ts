/**
 * Whether a put costs the same for each GiB, and stays as small, however large its file is. The files have no content:
 * whoever reads them pays the kernel for zeroed pages, in all sizes alike, and no disk has to hold 64 GiB.
 */
import { join } from 'node:path';
import { formatSize } from '../../src/units.ts';
import { writeSparseFile } from '../../test/support/files.ts';
import type { Group, Setting } from '../harness/case.ts';
import { sealift } from './programs.ts';
import { movedSample, Stage } from './stage.ts';

/** Of what one case of the other groups moves: 1 to 64 GiB where that is 1 GiB. */
const FACTORS = [1, 4, 16, 64];

export function growthGroup(setting: Setting): Group {
  const { folder, size } = setting;
  const stage = new Stage({ folder, name: 'growth', discard: true });
  const { put } = sealift(setting);
  return {
    name: 'growth',
    isSeldom: true,
    about: 'Files without content, over HTTPS',
    cases: FACTORS.map((factor) => {
      const bytes = factor * size;
      const source = join(folder, `growth-${factor}`);
      return {
        name: `put of ${formatSize(bytes)}`,
        prepare: async () => writeSparseFile(source, bytes),
        run: async (round) => movedSample(await stage.run(put(source, `growth/${factor}/${round}`)), bytes),
      };
    }),
    close: () => stage[Symbol.asyncDispose](),
  };
}

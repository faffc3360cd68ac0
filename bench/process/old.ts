/**
 * What it costs to open a signed message of the older kind, suite 0x0378 in frames of 4 KiB, as clients wrote them by
 * default for years. AWS's client for JavaScript writes it; that and Sealift open it, each as a library in a process of
 * its own. Beside them stands what Node's own calls take, with a cipher for every frame as the format has it.
 */
import { join } from 'node:path';
import { formatSize, GiB } from '../../src/units.ts';
import { measure } from '../../test/support/measure.ts';
import type { Group, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { sealOfficially } from '../pipeline/official.ts';
import { OLD_FRAME_SIZE, OLD_KEY, OPENERS } from './open-old.ts';
import { writeSource } from './stage.ts';

const program = join(import.meta.dirname, 'open-old.ts');

export function oldGroup({ folder, size }: Setting): Group {
  const message = once(async () => {
    const target = join(folder, 'old-message');
    const source = await writeSource(join(folder, 'old'), size);
    await sealOfficially(source, OLD_KEY, {
      suite: 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384',
      frameSize: OLD_FRAME_SIZE,
      target,
    });
    return target;
  });
  return {
    name: 'old',
    isSeldom: true,
    about: `A signed message of ${formatSize(size)}, suite 0x0378, frames of 4 KiB: CPU of the opening a GiB, and of the process`,
    cases: Object.keys(OPENERS).map((name) => ({
      name,
      prepare: async () => void (await message()),
      async run() {
        const { exit, stdout, stderr, cpuSeconds } = await measure([process.execPath, program, name, await message()]);
        if (exit !== 0) throw new Error(`${name} ended with ${exit}: ${stderr}`);
        return { cpu: (Number(stdout) * GiB) / size, cpuSeconds };
      },
    })),
  };
}

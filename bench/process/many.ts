/** A folder of many small files: moved by one `migrate`, which sends them many to a task, and by rclone crypt. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSize, KiB, MiB } from '../../src/units.ts';
import type { SandboxProcess } from '../../test/support/cli.ts';
import type { Case, Group, Sample, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { type Program, rclone, sealift } from './programs.ts';
import { Stage } from './stage.ts';

const OBJECT_SIZE = 10 * KiB;
/** Of rclone, which has 4 unless told otherwise. Sealift finds out by itself how many are best. */
const TRANSFER_COUNT = 16;

export function manyGroup(setting: Setting): Group {
  const { folder, objectCount } = setting;
  const stage = new Stage({ folder, name: 'many', discard: true });
  const sources = once(() => writeFiles(join(folder, 'many'), objectCount));

  async function put(command: string[], env: Program['env']): Promise<Sample> {
    const before = kmsCallsOf(await stage.sandbox);
    const cost = await stage.run(command, { env });
    return {
      objectsPerSecond: objectCount / cost.seconds,
      cpuEach: (cost.cpuSeconds * 1e6) / objectCount,
      peak: cost.peakRssBytes / MiB,
      connections: cost.connections,
      kmsCalls: kmsCallsOf(await stage.sandbox) - before,
    };
  }

  const crypt = rclone(setting, { crypt: true });
  const ours = sealift(setting);
  const cases: Case[] = [
    {
      name: 'sealift migrate',
      run: (round) => put(ours.putAll(sources(), `many/${round}`), ours.env),
    },
    {
      name: crypt.name,
      isThere: crypt.isThere,
      run: (round) => put(crypt.putAll(sources(), `many/${round}`, TRANSFER_COUNT), crypt.env),
    },
  ];
  return {
    name: 'many',
    about: `${objectCount} files of ${formatSize(OBJECT_SIZE)} over HTTPS, rclone with ${TRANSFER_COUNT} transfers, from start to exit`,
    cases: cases.map((one) => ({ ...one, prepare: async () => void sources() })),
    close: () => stage[Symbol.asyncDispose](),
  };
}

function writeFiles(folder: string, count: number): string {
  mkdirSync(folder);
  for (let index = 0; index < count; index++) writeFileSync(join(folder, String(index)), randomBytes(OBJECT_SIZE));
  return folder;
}

function kmsCallsOf(sandbox: SandboxProcess): number {
  return sandbox.log().filter(({ service }) => service === 'kms').length;
}

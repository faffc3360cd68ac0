/** A file got over HTTPS from a sandbox: each program gets, and opens where it sealed, what it has put itself. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSize } from '../../src/units.ts';
import type { Case, Group, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { awsCli, awsCrt, type Program, rclone, s5cmd, sealift, unsealed } from './programs.ts';
import { movedSample, Stage, writeSource } from './stage.ts';

export function getGroup(setting: Setting): Group {
  const { folder, size } = setting;
  const stage = new Stage({ folder, name: 'get', discard: false });
  const source = once(() => writeSource(join(folder, 'get'), size));
  const target = join(folder, 'got');

  const caseOf = ({ name, isThere, put, get, env }: Program): Case => ({
    name,
    isThere,
    prepare: async () => void (await stage.run(put(await source(), name), { env })),
    async run() {
      const cost = await stage.run(get(name, target), { env });
      await rm(target);
      return movedSample(cost, size);
    },
  });
  return {
    name: 'get',
    about: `${formatSize(size)} over HTTPS into a new file; every program with its defaults; only Sealift and rclone crypt decrypt`,
    cases: [
      sealift(setting),
      unsealed(setting),
      sealift(setting, '--format', 's3ec'),
      awsCli(setting),
      awsCrt(setting),
      rclone(setting, { crypt: true }),
      rclone(setting, { crypt: false }),
      s5cmd(setting),
    ].map(caseOf),
    close: () => stage[Symbol.asyncDispose](),
  };
}

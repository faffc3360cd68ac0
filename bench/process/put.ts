/** A file put over HTTPS to a sandbox that discards it: sealed by us in every way, and by others, mostly not sealed. */
import { join } from 'node:path';
import { formatSize } from '../../src/units.ts';
import type { Group, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { awsCli, awsCrt, libStorage, rclone, s5cmd, sealift, unsealed } from './programs.ts';
import { movedSample, Stage, writeSource } from './stage.ts';

export function putGroup(setting: Setting): Group {
  const { folder, size } = setting;
  const stage = new Stage({ folder, name: 'put', discard: true });
  const source = once(() => writeSource(join(folder, 'put'), size));
  const programs = [
    sealift(setting),
    unsealed(setting),
    sealift(setting, '--format', 's3ec'),
    sealift(setting, '--sign'),
    awsCli(setting),
    awsCrt(setting),
    rclone(setting, { crypt: true }),
    rclone(setting, { crypt: false }),
    s5cmd(setting),
    libStorage(),
  ];
  return {
    name: 'put',
    about: `${formatSize(size)} of random bytes over HTTPS; every program with its defaults; only Sealift and rclone crypt encrypt`,
    cases: programs.map(({ name, isThere, put, env }) => ({
      name,
      isThere,
      prepare: async () => void (await source()),
      run: async (round) => movedSample(await stage.run(put(await source(), `${name}/${round}`), { env }), size),
    })),
    close: () => stage[Symbol.asyncDispose](),
  };
}

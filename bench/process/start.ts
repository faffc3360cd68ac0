/** What a command takes that has little to do: how long one waits for it, from start to exit. */
import { join } from 'node:path';
import { MiB } from '../../src/units.ts';
import type { Case, Group, Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { awsCli, bin, sealift } from './programs.ts';
import { Stage, writeSource } from './stage.ts';

export function startGroup(setting: Setting): Group {
  const { folder } = setting;
  const stage = new Stage({ folder, name: 'start', discard: true });
  const source = once(() => writeSource(join(folder, 'start'), MiB));
  const [ours, theirs] = [sealift(setting), awsCli(setting)];

  const of = (name: string, command: (source: string, round: number) => string[], isThere = ours.isThere): Case => ({
    name,
    isThere,
    prepare: async () => void (await source()),
    async run(round) {
      const { seconds, cpuSeconds, peakRssBytes } = await stage.run(command(await source(), round));
      return { wallSeconds: seconds, cpuSeconds, peak: peakRssBytes / MiB };
    },
  });
  return {
    name: 'start',
    about: 'From start to exit, against a sandbox that has served before',
    warmUp: true,
    cases: [
      of('--help', () => [process.execPath, bin, '--help']),
      of('put of 1 MiB', (file, round) => ours.put(file, `start/${round}`)),
      of('aws s3 cp of 1 MiB', (file, round) => theirs.put(file, `aws/${round}`), theirs.isThere),
    ],
    close: () => stage[Symbol.asyncDispose](),
  };
}

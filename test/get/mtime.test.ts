/** Modification times: kept by a put, restored by a get. And what a get says of an object that lies in an archive. */
import { readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine.ts';
import { publish } from '../../src/get/target.ts';
import { mtimeOf, mtimeText } from '../../src/mtime.ts';
import { somePlain } from '../formats/message.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { foreignMessage, keyring, suiteNamed } from './foreign-message.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const mtimeNsOf = (path: string) => statSync(path, { bigint: true }).mtimeNs;

describe('a modification time', () => {
  test('is text in metadata and back, to a fraction of a microsecond', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 4_000_000_000n * 10n ** 9n), (ns) => {
        const seconds = mtimeOf({ metadata: { mtime: mtimeText(String(ns)) } }) as number;
        const [whole, fraction] = [BigInt(Math.floor(seconds)), seconds % 1];
        const back = whole * 10n ** 9n + BigInt(Math.round(fraction * 1e9));
        expect(back - ns < 500n && ns - back < 500n).toBe(true);
      }),
    );
    expect(mtimeOf({ metadata: { mtime: mtimeText('-1500000000') } })).toEqual(new Date(-1500));
  });

  test.each(['', 'yesterday', '1e9', '0x10', '1.0000000001', '123456789012', 'NaN', '1 '])(
    'that somebody else wrote as %j is none',
    (mtime) => expect(mtimeOf({ metadata: { mtime } })).toBeUndefined(),
  );

  test.each([
    ['with a fraction', 1_700_000_000.123_456_7],
    ['before 1970', new Date(-86_400_500)],
  ])('%s comes back with the file, but not with a range of it', async (what, time) => {
    const plot = stage.plot(what, 1000);
    utimesSync(plot.source, time, time);
    const wanted = mtimeNsOf(plot.source);
    await stage.put(plot);
    await stage.shared.get({ source: plot.target, target: plot.back });
    const off = Number(mtimeNsOf(plot.back) - wanted);
    expect(Math.abs(off)).toBeLessThan(500);
    await stage.shared.get({ source: plot.target, target: `${plot.back}.part`, range: { first: 0, last: 9 } });
    expect(mtimeNsOf(`${plot.back}.part`)).toBeGreaterThan(wanted + 10n ** 15n);
  });

  test('comes back with a signed message, which is opened from front to back', async () => {
    const plain = somePlain(1000);
    const Body = foreignMessage({ suite: suiteNamed('0578'), plain, frameSize: 256 });
    const Metadata = { mtime: '1600000000' };
    await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'signed', Body, Metadata }));
    await using engine = createEngine({ keyring, stateDir: stage.plot('signed', 1).stateDir });
    const back = `${stage.folder}/signed.back`;
    await engine.get({ source: `s3://${BUCKET}/signed`, target: back });
    expect(readFileSync(back).equals(plain)).toBe(true);
    expect(mtimeNsOf(back)).toBe(1_600_000_000n * 10n ** 9n);
  });

  test('is never given to a file that a link leads to', async () => {
    const victim = `${stage.folder}/victim`;
    writeFileSync(victim, 'precious');
    const before = mtimeNsOf(victim);
    symlinkSync(victim, `${victim}.link`);
    await publish(`${victim}.link`, `${victim}.target`, { overwrite: false, time: 1_600_000_000 });
    expect(mtimeNsOf(victim)).toBe(before);
  });

  test('that a file cannot have is a warning: the file is there', async () => {
    const path = `${stage.folder}/untimed`;
    writeFileSync(`${path}.new`, 'bytes');
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    await publish(`${path}.new`, path, { overwrite: false, time: 'never' as unknown as Date, warn });
    expect(readFileSync(path, 'utf8')).toBe('bytes');
    expect(warnings).toEqual([expect.stringContaining(`${path} could not be given its modification time`)]);
  });
});

test.each(['GLACIER', 'DEEP_ARCHIVE'])(
  'an object in %s is told with the command that restores it',
  async (storageClass) => {
    const plot = stage.plot(`it's ${storageClass}`, 1000);
    await stage.put(plot, { storageClass });
    const error = {
      code: 'object-archived',
      exit: 1,
      hint: expect.stringMatching(
        new RegExp(
          `class ${storageClass}\\..*\`aws s3api restore-object --bucket ${BUCKET} --key 'it'\\\\''s ${storageClass}' --restore-request Days=7\``,
        ),
      ),
    };
    const { target: source, back } = plot;
    await expect(stage.shared.get({ source, target: back })).rejects.toMatchObject(error);
    await expect(stage.shared.verify({ source })).rejects.toMatchObject(error);
    expect(stage.shared.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  },
);

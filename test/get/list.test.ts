/** `ls`: what lies in a bucket or a directory, with plain sizes, and what each object costs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Listing } from '../../src/list.ts';
import { somePlain } from '../formats/message.ts';
import { collect } from '../stores/contract.ts';
import { runHere } from '../support/here.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';
import { foreignMessage, suiteNamed } from './foreign-message.ts';

/** Of one part, and larger than all that a look into it fetches. */
const SIZE = 3_000_000;
const URL = `s3://${BUCKET}/ls/`;
const signed = foreignMessage({ suite: suiteNamed('0578'), plain: somePlain(777), frameSize: 256 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  const { target: _, ...whole } = stage.plot('ls.whole', SIZE);
  await stage.put({ ...whole, target: `${URL}whole` }, {});
  await stage.put({ ...whole, target: `${URL}deeper/whole` }, {});
  await stage.put({ ...stage.plot('ls.cold', 10), target: `${URL}cold` }, { storageClass: 'GLACIER' });
  await store('ls/cut', signed.subarray(0, 40));
  await store('ls/empty', Buffer.alloc(0));
  await store('ls/note', Buffer.from('Not sealed at all'));
  await store('ls/signed', signed);
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

async function store(Key: string, Body: Uint8Array): Promise<void> {
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
}

async function listed(url: string, options = {}): Promise<Listing[]> {
  return await collect(stage.shared.list(url, options));
}

const brief = (listings: Listing[]) =>
  listings.map((listing) =>
    listing.type === 'prefix' ? listing.object : `${listing.object} ${listing.state} ${listing.plainBytes}`,
  );

describe('a bucket', () => {
  test('has objects of every kind, each looked into with one small GET, one that is signed or not sealed with two', async () => {
    stage.requests.length = 0;
    expect(brief(await listed(URL))).toEqual([
      `${URL}deeper/`,
      `${URL}cold archived null`,
      `${URL}cut damaged null`,
      `${URL}empty foreign null`,
      `${URL}note foreign null`,
      `${URL}signed sealed 777`,
      `${URL}whole sealed ${SIZE}`,
    ]);
    // A request is noted once its answer is gone.
    await vi.waitFor(() => expect(stage.requests).toHaveLength(8));
    const gets = stage.requests.filter(({ operation }) => operation === 'GetObject').map(({ key }) => key!);
    expect(gets.sort()).toEqual([
      'ls/cut',
      'ls/cut.instruction',
      'ls/note',
      'ls/note.instruction',
      'ls/signed',
      'ls/signed',
      'ls/whole',
    ]);
    expect(Math.max(...stage.requests.map(({ bytesOut }) => bytesOut))).toBeLessThan(20_000);
  });

  test('is listed from any beginning of a key, or all of it', async () => {
    expect(brief(await listed(`${URL}w`))).toEqual([`${URL}whole sealed ${SIZE}`]);
    expect(brief(await listed(`s3://${BUCKET}`))).toContain(URL);
    expect(await listed(`s3://${BUCKET}/`, { recursive: true })).toHaveLength(7);
    await expect(listed('s3://no-such-bucket')).rejects.toMatchObject({ code: 'bucket-not-found' });
  });

  test('keeps its order when objects answer late, tells of one that is refused, and leaves out one that is gone', async () => {
    stage.sandbox.setFaults(
      'GetObject(key=ls/cut):1=stall@100ms; GetObject(key=ls/note):1=NoSuchKey; GetObject(key=ls/whole):1=AccessDenied',
    );
    expect(brief(await listed(URL)).slice(2)).toEqual([
      `${URL}cut damaged null`,
      `${URL}empty foreign null`,
      `${URL}signed sealed 777`,
      `${URL}whole unreadable null`,
    ]);
  });

  test('ends with the error where the store gives up', async () => {
    stage.sandbox.setFaults('GetObject(key=ls/note):*=503');
    await expect(listed(URL)).rejects.toMatchObject({ code: 'store-throttled', exit: 5 });
  });
});

test('a directory has the objects in it, and its directories as prefixes', async () => {
  const directory = join(stage.folder, 'a directory');
  mkdirSync(join(directory, 'inner'), { recursive: true });
  const url = pathToFileURL(`${directory}/`).href;
  await stage.put({ ...stage.plot('ls.file', 1000), target: `${url}file` }, {});
  writeFileSync(join(directory, 'note'), 'Not sealed');
  expect(brief(await listed(url))).toEqual([`${url}file sealed 1000`, `${url}inner/`, `${url}note foreign null`]);
  expect(brief(await listed(`${url}n`))).toEqual([`${url}note foreign null`]);
  await expect(listed(url, { recursive: true })).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
  await expect(listed(`${url}none/`)).rejects.toMatchObject({ code: 'bucket-not-found' });
  // People read names, programs URLs.
  writeFileSync(join(directory, 'ö 5 %'), 'Not sealed');
  expect((await runHere(['ls', directory])).stdout).toContain('  ö 5 %  (not sealed)\n');
  expect(brief(await listed(url))).toContain(`${url}%C3%B6%205%20%25 foreign null`);
});

test('the command line prints sizes and names, or JSON lines; one that cannot be read is a warning', async () => {
  stage.sandbox.setFaults('GetObject(key=ls/whole):2=AccessDenied');
  const people = await runHere(['ls', URL]);
  expect(people.exit).toBe(0);
  const lines = people.stdout.split('\n');
  expect(lines[0]).toBe(`${' '.repeat(30)}PRE  deeper/`);
  expect(lines).toContainEqual(expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {11}777 {2}signed$/));
  expect(lines).toContainEqual(expect.stringMatching(/ - {2}note {2}\(not sealed\)$/));
  expect(people.stderr).toMatch(/^6 objects, 2\.9 MiB in them\n$/);
  const machines = await runHere(['ls', URL, '--json']);
  expect(machines).toMatchObject({
    exit: 3,
    last: { type: 'result', command: 'ls', objects: 6, prefixes: 1, plainBytes: 777, unreadable: 1 },
  });
  expect(machines.lines.filter(({ type }) => type === 'object')).toHaveLength(6);
});

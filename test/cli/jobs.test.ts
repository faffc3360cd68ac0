/** Jobs from their begin to their end, as people run them: commands against a sandbox, those that are interrupted processes. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { type Line, type Outcome, run, start } from '../support/cli.ts';
import { writeRandomFile } from '../support/files.ts';
import { runHere } from '../support/here.ts';

const PART_COUNT = 3;
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const file = join(folder, 'film.mov');
const KEY = ['--kms-key', 'alias/sandbox'];
/** One lane: half a second a part, so that there is time to interrupt between the first and the last. */
const SLOW_PARTS = 'UploadPart:*=slow@16MiB/s';
const RESULT_FIELDS = [
  'type,command,job,object,objects,failed,skipped,plainBytes,sealedBytes',
  'parts,partsReused,seconds,cpuSeconds,peakRssBytes,kmsCalls,kmsRequestIds',
].flatMap((names) => names.split(','));

let sandbox: Sandbox;
/** What happens while a fault holds a request. */
let meanwhile: () => void | Promise<void> = () => {};
beforeAll(async () => {
  writeRandomFile(file, PART_COUNT * 8 * MiB);
  writeFileSync(join(folder, 'text'), 'a line of text\n'.repeat(100));
  sandbox = await startSandbox({ buckets: ['bucket'], onFault: () => meanwhile() });
});
afterEach(() => sandbox.setFaults(''));
afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true });
});

/** Each with a state folder of its own, so that tests do not see each other's jobs. */
function place(name: string) {
  const options = () => ({ cwd: folder, env: { ...sandbox.env, SEALIFT_STATE_DIR: join(folder, `state-${name}`) } });
  return {
    url: `s3://bucket/${name}/film.mov`,
    run: (args: string[]) => run(args, options()),
    runHere: (args: string[]) => runHere(args, options()),
    start: (args: string[]) => start(args, options()),
  };
}

/** Starts a put and interrupts it once a part is acknowledged. */
async function interruptedPut({ url, start }: ReturnType<typeof place>, flags: string[] = [], source = file) {
  sandbox.setFaults(SLOW_PARTS);
  const put = start(['put', source, url, '--lanes', '1', '--json', ...KEY, ...flags]);
  await put.until(({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) > 0);
  put.child.kill('SIGINT');
  const outcome = await put.ended;
  sandbox.setFaults('');
  return outcome;
}

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const ofType = (lines: Line[], type: string) => lines.filter((line) => line.type === type);

describe('put and get', () => {
  const here = place('whole');
  const { run, runHere, url } = here;
  let put: Outcome;
  beforeAll(async () => {
    put = await run(['put', 'film.mov', 's3://bucket/whole/', '--json', ...KEY, '--metadata', 'film=Metropolis']);
  });

  test('put keeps the promises of --json, and people read a summary', async () => {
    expect(put.exit).toBe(0);
    expect(put.lines.map(({ type }) => type)).toEqual(expect.arrayContaining(['start', 'progress', 'result']));
    expect(put.last).toMatchObject({ command: 'put', object: url, objects: 1, parts: PART_COUNT, kmsCalls: 1 });
    expect(Object.keys(put.last!)).toEqual(expect.arrayContaining(RESULT_FIELDS));
    expect(ofType(put.lines, 'progress').at(-1)).toMatchObject({ ackedBytes: PART_COUNT * 8 * MiB, reusedBytes: 0 });
    expect(put.stderr).toMatch(/^Sealed film\.mov into s3:.*\n24 MiB in 3 parts, .*, 1 KMS call\n$/);
  });

  test('get into a folder keeps the name, and every byte', async () => {
    mkdirSync(join(folder, 'back'));
    const get = await runHere(['get', url, 'back', '--json']);
    expect(get).toMatchObject({ exit: 0, last: { command: 'get', plainBytes: PART_COUNT * 8 * MiB } });
    expect(sha256(join(folder, 'back/film.mov'))).toBe(sha256(file));
  });

  test('get to standard output writes the bytes; a reader who has had enough is told nothing', async () => {
    await runHere(['put', 'text', 's3://bucket/whole/text', ...KEY]);
    const piped = await run(['get', 's3://bucket/whole/text', '-', '-q', '--range', '15-44']);
    expect(piped).toMatchObject({ exit: 0, stdout: 'a line of text\n'.repeat(2), stderr: '' });

    const cut = here.start(['get', url, '-', '-q']);
    cut.child.stdout!.once('data', () => cut.child.stdout!.destroy());
    const [exit] = await once(cut.child, 'exit');
    expect(exit).toBe(1);
  });

  test('inspect tells people and machines, without a key', async () => {
    const [text, json] = await Promise.all([runHere(['inspect', url]), runHere(['inspect', url, '--json'])]);
    expect(text.stdout).toContain(sandbox.kmsKeyId);
    expect(json.last).toMatchObject({ command: 'inspect', object: url, metadata: { film: 'Metropolis' } });
  });
});

describe('interrupted', () => {
  test('once: exit 4, and resume goes on as it was begun, saying what it keeps', async () => {
    const here = place('once');
    const put = await interruptedPut(here, ['--context', 'team=film']);
    expect(put).toMatchObject({ exit: 4, last: { type: 'error', code: 'interrupted', exit: 4 } });
    expect(put.stderr).toContain(
      'Stopping: what is in flight may take up to 10 s to end. Press again to stop at once.',
    );

    const [job] = (await here.runHere(['jobs', '--json'])).lines;
    expect(job).toMatchObject({ type: 'job', command: 'put', state: 'interrupted', source: file, target: here.url });
    const id = job!.job as string;
    expect((await here.runHere(['jobs', id])).stdout).toMatch(/^state +interrupted$/m);

    const resume = await here.runHere(['resume', '--explain', '--json']);
    expect(resume).toMatchObject({ exit: 0, last: { type: 'result', command: 'put', job: id, kmsCalls: 1 } });
    const parts = ofType(resume.lines, 'part');
    expect(parts.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(parts[0]).toMatchObject({ kept: true, reason: expect.stringContaining('acknowledged') });
    expect(parts[2]).toMatchObject({ kept: false });
    expect(resume.last!.partsReused).toBe(parts.filter(({ kept }) => kept).length);
    expect(resume.stderr).toMatch(/^Parts? 1.*: kept, acknowledged/m);

    const inspect = await here.runHere(['inspect', here.url, '--json']);
    expect(inspect.last).toMatchObject({ encryptionContext: { team: 'film' } });
    expect((await here.runHere(['get', here.url, 'once.mov'])).exit).toBe(0);
    expect(sha256(join(folder, 'once.mov'))).toBe(sha256(file));
  });

  test('twice: exit 130 at once; the job is there, and cancel gives it up', async () => {
    const { start, runHere, url } = place('twice');
    sandbox.setFaults('UploadPart:*=stall');
    const put = start(['put', file, url, '--json', ...KEY]);
    const beats: number[] = [];
    await put.until(({ type }) => type === 'progress' && beats.push(performance.now()) === 8);
    put.child.kill('SIGINT');
    await once(put.child.stderr!, 'data');
    put.child.kill('SIGINT');
    expect((await put.ended).exit).toBe(130);

    const [job] = (await runHere(['jobs', '--json'])).lines;
    expect(job).toMatchObject({ state: 'interrupted', partsDone: 0 });
    const id = job!.job as string;
    expect(await runHere(['cancel', id, '--json'])).toMatchObject({ exit: 0, last: { command: 'cancel', job: id } });
    expect((await runHere(['cancel', id])).stderr).toContain('nothing to cancel');
    expect((await runHere(['resume', '--json'])).last).toMatchObject({ objects: 0 });

    // Machines hear of progress at least every 250 ms, also when nothing moves. The median: this machine may be busy.
    const gaps = beats.slice(1).map((ms, index) => ms - beats[index]!);
    expect(gaps.sort((a, b) => a - b)[3]).toBeLessThan(250);
  });

  test('with the source changed since: resume starts over, with the flags the job was begun with', async () => {
    const here = place('changed');
    const source = join(folder, 'changed.mov');
    copyFileSync(file, source);
    await interruptedPut(here, ['--metadata', 'film=Metropolis'], source);
    appendFileSync(source, 'The End');
    const resume = await here.runHere(['resume', '--json']);
    expect(resume).toMatchObject({ exit: 0, last: { partsReused: 0, plainBytes: PART_COUNT * 8 * MiB + 7 } });
    expect(ofType(resume.lines, 'restart')).toMatchObject([{ reason: expect.stringContaining('changed') }]);
    const inspect = await here.runHere(['inspect', here.url, '--json']);
    expect(inspect.last).toMatchObject({ metadata: { film: 'Metropolis' } });
  });

  test('while the first of two jobs ends: resume is interrupted all the same, and says so by its status', async () => {
    const here = place('two');
    await interruptedPut(here);
    await interruptedPut({ ...here, url: `${here.url}.copy` });
    const resume = here.start(['resume', '--json']);
    meanwhile = async () => {
      meanwhile = () => {};
      const heard = once(resume.child.stderr!, 'data');
      resume.child.kill('SIGINT');
      await heard;
    };
    sandbox.setFaults('CompleteMultipartUpload:1=stall@1ms');
    const { exit, lines } = await resume.ended;
    expect(lines.filter(({ type }) => type === 'result' || type === 'error')).toMatchObject([{ type: 'result' }]);
    expect(exit).toBe(4);
  });

  test('with the key file gone since: resume fails by its name, and takes another path to it', async () => {
    const here = place('moved-key');
    await here.runHere(['keygen', 'first.key']);
    sandbox.setFaults(SLOW_PARTS);
    const put = here.start(['put', file, here.url, '--lanes', '1', '--json', '--raw-key', 'first.key']);
    await put.until(({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) > 0);
    put.child.kill('SIGKILL');
    await put.ended;
    sandbox.setFaults('');
    writeFileSync(join(folder, 'second.key'), readFileSync(join(folder, 'first.key')), { mode: 0o600 });
    rmSync(join(folder, 'first.key'));

    const failed = await here.runHere(['resume', '--json']);
    expect(failed).toMatchObject({ exit: 2, last: { type: 'error', code: 'bad-key-file' } });
    expect(failed.last!.job).toMatch(/^put-/);
    const resumed = await here.runHere(['resume', '--json', '--raw-key', 'second.key']);
    expect(resumed).toMatchObject({ exit: 0, last: { command: 'put', kmsCalls: 0 } });
    expect(resumed.last!.partsReused).toBeGreaterThan(0);
  });
});

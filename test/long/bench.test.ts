/** The benchmarks run, at sizes so small that their figures mean nothing: each of their cases gives some, or is not there. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { casesOf, readRecord } from '../../bench/harness/record.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../../bench/run.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-bench-test-'));

afterAll(() => rmSync(folder, { recursive: true }));

const tiny = ['--size', '16MiB', '--objects', '20', '--rounds', '1'];
const LAYERS = [
  'micro/',
  'pipeline/',
  'put/',
  'get/',
  'many/',
  'start/',
  'growth/',
  'memory/get to a pipe, threads 1',
  'old/',
];

test.each(LAYERS)('%s', async (layer) => {
  const json = join(folder, `${LAYERS.indexOf(layer)}.json`);
  const { stdout } = await run(process.execPath, [program, ...tiny, '--only', layer, '--json', json]);
  const record = readRecord(json);
  const cases = casesOf(record);
  expect(cases.length).toBeGreaterThan(1);
  for (const { name, samples } of cases) {
    if (samples.length === 0) expect(stdout).toContain(`Not on this machine: ${name}.`);
    else
      expect(
        Object.values(samples[0]!).every((value) => value >= 0),
        name,
      ).toBe(true);
  }
  expect((await run(process.execPath, [program, '--show', json])).stdout).toBe(stdout);
});

test('a run is compared with one before', async () => {
  const json = join(folder, 'before.json');
  const few = [program, ...tiny, '--only', 'micro/CRC32$', '--rounds', '3'];
  await run(process.execPath, [...few, '--json', json]);
  const compared = run(process.execPath, [...few, '--json', join(folder, 'now.json'), '--compare', json]);
  // Whether something got worse in between is the machine's affair, and the status says it.
  const { stdout } = (await compared.catch((error) => error)) as { stdout: string };
  expect(stdout).toMatch(/\n## Since commit .*\n\n.*(\| before|Nothing changed)/);
});

test('what cannot be run is said before anything is', async () => {
  for (const flags of [
    ['--only', 'no such case'],
    ['--size', '17MiB'],
    ['--rounds', '0'],
    ['--objects', 'many'],
    ['--compare', program],
  ]) {
    const refused = run(process.execPath, [program, ...flags, '--json', join(folder, 'none')]);
    await expect(refused).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^bench: .+\n$/),
    });
  }
});

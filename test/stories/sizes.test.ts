/**
 * Every size at which the cut changes, there and back over HTTPS: nothing, one byte, a frame, a part, two parts, and a
 * byte either side of each. Mostly through one engine, for speed; a few as people type them.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DEFAULT_PART_SIZE } from '../../src/formats/esdk/layout.ts';
import { DEFAULT_FRAME_SIZE } from '../../src/formats/esdk/plan.ts';
import { createEngine, type Engine, type GetRequest, kmsKeyring } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { run, type SandboxProcess, startSandboxProcess } from '../support/cli.ts';
import { runHere } from '../support/here.ts';
import { measure } from '../support/measure.ts';

const F = DEFAULT_FRAME_SIZE;
const P = DEFAULT_PART_SIZE;
const SIZES = [0, 1, F - 1, F, F + 1, P - 1, P, P + 1, 2 * P - 1, 2 * P, 2 * P + 1];
const LARGEST = SIZES.at(-1)!;
const content = randomBytes(LARGEST);

const folder = mkdtempSync(join(tmpdir(), 'sealift-sizes-'));
const stateDir = join(folder, 'jobs');
const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
let sandbox: SandboxProcess;
let engine: Engine;

beforeAll(async () => {
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }), stateDir });
});

afterAll(async () => {
  await engine.close();
  await sandbox.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function fileOf(size: number): string {
  const path = join(folder, `${size}.bin`);
  writeFileSync(path, content.subarray(0, size));
  return path;
}

async function opened(request: Pick<GetRequest, 'source' | 'range'>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const target = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
  await engine.get({ ...request, target });
  return Buffer.concat(chunks);
}

describe.each(SIZES)('%i bytes', (size) => {
  const parts = Math.max(1, Math.ceil(size / P));
  const object = `s3://bkt/${size}`;
  const target = join(folder, `${size}.back`);

  test('come back into a file and into a pipe', async () => {
    const put = await engine.put({ source: fileOf(size), target: object });
    expect(put).toMatchObject({ plainBytes: size, parts, warnings: [] });
    // A header, and for each frame its number, its nonce and its tag.
    expect(put.sealedBytes - size).toBeGreaterThan(100 + Math.ceil(size / F) * 32);
    const got = await engine.get({ source: object, target });
    expect(got).toMatchObject({ plainBytes: size, sealedBytes: put.sealedBytes, parts, warnings: [] });
    expect(readFileSync(target).equals(content.subarray(0, size))).toBe(true);
    expect((await opened({ source: object })).equals(content.subarray(0, size))).toBe(true);
  });
});

describe('ranges of the largest', () => {
  const points = SIZES.slice(0, -1);
  const ranges = points.flatMap((point) => [
    { first: point, last: point },
    { first: Math.max(0, point - 1), last: Math.min(point + 1, LARGEST - 1) },
    { first: 0, last: point },
    { first: point, last: LARGEST - 1 },
  ]);

  test('at the same boundaries are slices of it', async () => {
    for (const range of ranges) {
      const slice = content.subarray(range.first, range.last + 1);
      const bytes = await opened({ source: `s3://bkt/${LARGEST}`, range });
      expect(bytes.equals(slice), `bytes ${range.first}-${range.last}`).toBe(true);
    }
  });

  test('come back into a file', async () => {
    const range = { first: F - 1, last: P };
    const target = join(folder, 'slice');
    const got = await engine.get({ source: `s3://bkt/${LARGEST}`, target, range });
    expect(got).toMatchObject({ plainBytes: P - F + 2, parts: 2 });
    expect(readFileSync(target).equals(content.subarray(F - 1, P + 1))).toBe(true);
  });
});

describe.each([0, P + 1])('%i bytes by the command line', (size) => {
  const object = `s3://bkt/typed/${size}`;
  const flags = ['--state-dir', stateDir];

  test('result lines have the fields of the contract, and get - can be piped', async () => {
    const target = join(folder, `${size}.typed`);
    const key = ['--kms-key', 'alias/sandbox'];
    const put = await run(['put', fileOf(size), object, ...key, ...flags, '--json'], { env: sandbox.env });
    const got = await runHere(['get', object, target, ...flags, '--json'], { env: sandbox.env });
    for (const [command, { exit, last, stderr }] of Object.entries({ put, get: got })) {
      expect(exit, stderr).toBe(0);
      expect(last).toEqual({
        type: 'result',
        command,
        job: expect.stringMatching(/./),
        object,
        objects: 1,
        failed: 0,
        skipped: 0,
        plainBytes: size,
        sealedBytes: put.last!.sealedBytes,
        parts: Math.max(1, Math.ceil(size / P)),
        partsReused: 0,
        seconds: expect.any(Number),
        cpuSeconds: expect.any(Number),
        peakRssBytes: expect.any(Number),
        kmsCalls: 1,
        kmsRequestIds: [expect.any(String)],
        warnings: [],
        ...(command === 'put' ? { etag: expect.stringMatching(/^".+"$/), sse: { algorithm: 'AES256' } } : {}),
      });
    }
    expect(readFileSync(target).equals(content.subarray(0, size))).toBe(true);

    const piped = await measure([process.execPath, bin, 'get', object, '-', ...flags], {
      env: sandbox.env,
      into: '| sha256sum',
    });
    const hash = createHash('sha256').update(content.subarray(0, size)).digest('hex');
    expect(piped).toMatchObject({ exit: 0, stdout: `${hash}  -\n` });
  });
});

test("peakRssBytes is the command's own, not that of a large process that started it", async () => {
  const ballast = Buffer.alloc(512 * MiB, 1);
  const key = ['--kms-key', 'alias/sandbox'];
  const put = await run(['put', fileOf(1), 's3://bkt/small', ...key, '--state-dir', stateDir, '--json'], {
    env: sandbox.env,
  });
  expect(put.last!.peakRssBytes).toBeLessThan(ballast.length);
});

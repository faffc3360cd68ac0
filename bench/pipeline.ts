/**
 * The threads' work from a file to nowhere, in one thread and in two: sealed and opened, in both formats. In the same
 * rounds what none of it can go below, read, cipher and CRC32 each alone; and what AWS's client for JavaScript takes.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createEngine, type Engine, rawAesKeyring } from '../src/index.ts';
import { formatSize, GiB, KiB, MiB } from '../src/units.ts';
import { writeRandomFile } from '../test/support/files.ts';
import type { Case, Group, Sample, Setting } from './harness/case.ts';
import { once } from './harness/once.ts';
import { BareThreads, type BareWork } from './pipeline/bare.ts';
import { openOfficially, sealOfficially } from './pipeline/official.ts';
import { type Format, Sealing } from './pipeline/sealing.ts';
import { runs } from './process/programs.ts';

const FORMATS: readonly Format[] = ['esdk', 's3ec'];
const THREAD_COUNTS = [1, 2];
/** AWS's client is so slow that some of the file says as much. */
const OFFICIAL_SIZE = 128 * MiB;
const rawKey = { namespace: 'bench', name: 'key', key: Buffer.alloc(32, 1) };

export function pipelineGroup({ folder, size }: Setting): Group {
  const stack = new AsyncDisposableStack();
  const source = fileOf(join(folder, 'pipeline'), size);
  const sample = fileOf(join(folder, 'pipeline-sample'), Math.min(size, OFFICIAL_SIZE));
  const bare = stack.use(new BareThreads());
  const sealing = THREAD_COUNTS.map((threads) => once(() => stack.use(new Sealing({ threads }))));
  const engines = THREAD_COUNTS.map((threads) => once(() => stack.use(engineWith({ threads, folder }))));
  const objects = FORMATS.map((format) =>
    once(async () => {
      const target = pathToFileURL(join(folder, `pipeline-${format}`)).href;
      await engines.at(-1)!().put({ source: source(), target, format });
      return target;
    }),
  );

  const of = (name: string, bytes: number, work: () => Promise<unknown>): Case => ({
    name,
    run: () => costOf(bytes, work),
  });
  const alone =
    (work: BareWork, threads = 1) =>
    () =>
      bare.run(work, { path: source(), size, threads });
  const inThreads = (caseOf: (index: number, threads: string) => Case[]) =>
    THREAD_COUNTS.flatMap((count, index) => caseOf(index, `${count} thread${count === 1 ? '' : 's'}`));

  return {
    name: 'pipeline',
    about: `${formatSize(size)} of random bytes in the page cache, to nowhere; frames of 256 KiB, parts of 8 MiB`,
    warmUp: true,
    cases: [
      of('read', size, alone('read')),
      of('crc32', size, alone('crc32')),
      ...inThreads((index, threads) => [
        of(`cipher, ${threads}`, size, alone('cipher', THREAD_COUNTS[index]!)),
        ...FORMATS.flatMap((format, which) => [
          of(`seal ${format}, ${threads}`, size, () => sealing[index]!().seal(source(), format)),
          {
            ...of(`open ${format}, ${threads}`, size, async () =>
              engines[index]!().verify({ source: await objects[which]!() }),
            ),
            prepare: async () => void (await objects[which]!()),
          },
        ]),
      ]),
      ...officialCases(sample, folder),
      { name: 'openssl speed', isThere: () => runs('openssl', 'version'), run: opensslSpeed },
    ],
    close: () => stack.disposeAsync(),
  };
}

function officialCases(sample: () => string, folder: string): Case[] {
  const message = once(async () => {
    const target = join(folder, 'pipeline-official');
    await sealOfficially(sample(), rawKey, { target });
    return target;
  });
  const of = (name: string, work: () => Promise<void>): Case => ({
    name: `client-node ${name}`,
    prepare: async () => void (await message()),
    run: () => costOf(statSync(sample()).size, work),
  });
  return [
    of('encrypts', () => sealOfficially(sample(), rawKey)),
    of('encrypts, frames of 1 MiB', () => sealOfficially(sample(), rawKey, { frameSize: MiB })),
    of('decrypts', async () => openOfficially(await message(), rawKey)),
  ];
}

/** OpenSSL's own program, a second of it. It counts user time; its output goes where it lies, into a cache. */
async function opensslSpeed(): Promise<Sample> {
  const args = ['speed', '-mr', '-seconds', '1', '-bytes', String(256 * KiB), '-evp', 'aes-256-gcm'];
  const text = execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const bytesPerSecond = Number(/^\+F:.*:([\d.]+)$/m.exec(text)?.[1]);
  return { cpu: GiB / bytesPerSecond };
}

/** CPU of this process and all its threads, and the clock's time. */
async function costOf(bytes: number, work: () => Promise<unknown>): Promise<Sample> {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const perGiB = (seconds: number) => (seconds * GiB) / bytes;
  return {
    cpu: perGiB((user + system) / 1e6),
    user: perGiB(user / 1e6),
    system: perGiB(system / 1e6),
    wall: perGiB((performance.now() - start) / 1000),
  };
}

function engineWith({ threads, folder }: { threads: number; folder: string }): Engine {
  return createEngine({ keyring: rawAesKeyring(rawKey), threads, stateDir: join(folder, `pipeline-jobs-${threads}`) });
}

/** A file of random bytes, written when it is first asked for. */
function fileOf(path: string, size: number): () => string {
  return once(() => {
    writeRandomFile(path, size);
    return path;
  });
}

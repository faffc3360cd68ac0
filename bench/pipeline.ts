/**
 * The threads' work from a file to nowhere, in one thread and in two: sealed and opened, in both formats. In the same
 * rounds what none of it can go below, read, cipher and CRC32 each alone and in one loop; and what AWS's client takes.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createEngine, type Engine, rawAesKeyring } from '../src/index.ts';
import { formatSize, GiB, KiB, MiB } from '../src/units.ts';
import { runs } from '../test/sandbox/contract.ts';
import { writeRandomFile } from '../test/support/files.ts';
import type { Case, Group, Sample, Setting } from './harness/case.ts';
import { once } from './harness/once.ts';
import { BareThreads, type BareWork } from './pipeline/bare.ts';
import { openOfficially, sealOfficially } from './pipeline/official.ts';
import { type Format, Sealing } from './pipeline/sealing.ts';

const FORMATS: readonly Format[] = ['esdk', 's3ec'];
/** AWS's client is so slow that some of the file says as much. */
const OFFICIAL_SIZE = 128 * MiB;
const rawKey = { namespace: 'bench', name: 'key', key: Buffer.alloc(32, 1) };

export function pipelineGroup({ folder, size }: Setting): Group {
  const stack = new AsyncDisposableStack();
  const bare = stack.use(new BareThreads());
  const source = fileOf(join(folder, 'pipeline'), size);
  const sample = fileOf(join(folder, 'pipeline-sample'), Math.min(size, OFFICIAL_SIZE));
  const engineOf = (threads: number) => once(() => stack.use(engineWith({ threads, folder })));
  const writer = engineOf(2);
  const objects = { esdk: once(() => putInto('esdk')), s3ec: once(() => putInto('s3ec')) };

  async function putInto(format: Format): Promise<string> {
    const target = pathToFileURL(join(folder, `pipeline-${format}`)).href;
    await writer().put({ source: source(), target, format });
    return target;
  }

  const of = (name: string, work: () => Promise<unknown>): Case => ({ name, run: () => costOf(size, work) });
  const bareCase = (name: string, work: BareWork, threads: number) =>
    of(name, () => bare.run(work, { path: source(), size, threads }));

  function casesIn(threads: number): Case[] {
    const count = `${threads} thread${threads === 1 ? '' : 's'}`;
    const sealing = once(() => stack.use(new Sealing({ threads })));
    const engine = engineOf(threads);
    return [
      bareCase(`cipher, ${count}`, 'cipher', threads),
      bareCase(`all three in a loop, ${count}`, 'dropped', threads),
      bareCase(`all three in a loop, held, ${count}`, 'held', threads),
      ...FORMATS.flatMap((format) => [
        of(`seal ${format}, ${count}`, () => sealing().seal(source(), format)),
        {
          ...of(`open ${format}, ${count}`, async () => engine().verify({ source: await objects[format]() })),
          prepare: async () => void (await objects[format]()),
        },
      ]),
    ];
  }

  return {
    name: 'pipeline',
    about: `${formatSize(size)} of random bytes in the page cache, to nowhere; frames of 256 KiB, parts of 8 MiB`,
    warmUp: true,
    cases: [
      bareCase('read', 'read', 1),
      bareCase('crc32', 'crc32', 1),
      ...casesIn(1),
      ...casesIn(2),
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

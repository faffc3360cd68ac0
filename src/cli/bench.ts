/** `sealift bench [s3://BUCKET/prefix]`: how fast this machine and a bucket are, and which flags suit them. */
import { access, constants, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { BenchEvent, BenchMeans, BenchRequest, BenchResult } from '../bench/api.ts';
import { EXIT, SealiftError } from '../errors.ts';
import type { Keyring } from '../index.ts';
import { formatRate, formatSize } from '../units.ts';
import { runSealift } from './child.ts';
import { count, path, size } from './flag-values.ts';
import { openEngine } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  keyOptions,
  outputOptions,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import { columns, counted, type Output } from './output.ts';
import { environmentWith } from './sandbox.ts';
import { stopOnSignals } from './signals.ts';

type BenchFlags = EngineFlags & {
  seconds?: number | undefined;
  dir?: string | undefined;
  report?: string | undefined;
  partSize?: number | undefined;
};

const DEFAULT_SECONDS = 60;
const SANDBOX_BUCKET = 'bench';

const EXAMPLES = `
Examples:
  $ sealift bench                                     # against a sandbox on this machine
  $ sealift bench s3://backups/bench --report bench.html
  $ sealift bench s3://backups --kms-key alias/backups --seconds 120 --json

It writes random bytes into a file of its own (--dir) and puts and gets them, one object at a time, under a name that nobody
else has: s3://BUCKET/prefix/sealift-bench-…/. Each is removed again, and uploads are aborted, also on Ctrl-C. S3 counts the
requests and the traffic. Without a key flag a key is made that nobody keeps. --threads, --lanes and --part-size, where given, are not tried.
Each put and get asks for a data key of its own, as a job does that comes alone, unless --key-reuse is on.`;

export function addBench(program: Command, output: Output): void {
  const command = program
    .command('bench')
    .summary('how fast this machine and a bucket are')
    .description('Measures disk, processor and bucket, says what limits and which flags suit them.')
    .argument('[target]', 's3://bucket or s3://bucket/prefix; a sandbox on this machine unless given')
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Bench:')
    .addOption(flag('--seconds <n>', `how long it may take, more or less (default ${DEFAULT_SECONDS})`, count))
    .addOption(flag('--dir <dir>', 'folder of the test file, on the disk to measure (default: that of the jobs)', path))
    .addOption(flag('--report <file>', 'write a page with charts, complete in itself', path))
    .addOption(flag('--part-size <size>', 'bytes of a part, instead of trying', size));
  for (const add of [keyOptions, workOptions, storeOptions, stateOptions, outputOptions]) add(command);
  command.action(async (target: string | undefined) => {
    const flags = flagsOf<BenchFlags>(command);
    await checkWork(flags);
    if (flags.report) await checkReport(flags.report);
    const signal = stopOnSignals(output);
    const { result, warnings } = await measure(target, flags, { output, signal });
    output.json({ type: 'result', command: 'bench', ...result, warnings });
    output.print(resultText(result));
    if (flags.report) {
      await writeReport(flags.report, result);
      output.say(`The charts are in ${flags.report}`);
    }
    process.exitCode = warnings.length > 0 ? EXIT.warnings : EXIT.done;
  });
}

interface Watch {
  output: Output;
  signal: AbortSignal;
}

async function measure(
  target: string | undefined,
  flags: BenchFlags,
  watch: Watch,
): Promise<{ result: BenchResult; warnings: string[] }> {
  if (target !== undefined) return await measureAt(target, flags, { ...watch, isSandbox: false });
  await using _sandbox = await startSandbox();
  const kmsKey = flags.rawKey || flags.kmsKey ? flags.kmsKey : ['alias/sandbox'];
  return await measureAt(`s3://${SANDBOX_BUCKET}`, { ...flags, kmsKey }, { ...watch, isSandbox: true });
}

async function measureAt(
  target: string,
  flags: BenchFlags,
  { output, signal, isSandbox }: Watch & { isSandbox: boolean },
): Promise<{ result: BenchResult; warnings: string[] }> {
  const { bench } = await import('../bench.ts');
  const { BenchObjects } = await import('../bench/objects.ts');
  const { openStateDir } = await import('../ledger/state-dir.ts');
  const { maxMemory, bwlimit, seconds = DEFAULT_SECONDS, dir } = flags;
  const warnings: string[] = [];
  const own = await throwawayKey(flags, output);
  using objects = await BenchObjects.under(target, flags);
  const { keyReuse } = flags;
  const engine: BenchMeans['engine'] = (work) =>
    openEngine({ ...flags, ...work, keyReuse: keyReuse ?? work.keyReuse }, 'seal', own);
  const request: BenchRequest = {
    seconds,
    folder: dir ?? openStateDir(flags.stateDir),
    fixed: given(flags),
    maxMemory,
    bwlimit,
    isSandbox,
    signal,
    onEvent(event) {
      if (event.type === 'warning') warnings.push(event.message);
      tell(event, output);
    },
  };
  const result = await bench(request, { objects, engine });
  return { result, warnings };
}

function given({ threads, lanes, partSize }: BenchFlags): BenchRequest['fixed'] {
  return Object.fromEntries(Object.entries({ threads, lanes, partSize }).filter(([, value]) => value !== undefined));
}

/** A key for objects that nobody is to open later. */
async function throwawayKey({ kmsKey, rawKey }: BenchFlags, output: Output): Promise<Keyring | undefined> {
  if (kmsKey || rawKey) return undefined;
  const { rawAesKeyring } = await import('../index.ts');
  const { freshRandom } = await import('../random.ts');
  output.say('No key was named: one is made in memory and forgotten. --kms-key measures KMS as well.');
  return rawAesKeyring({ namespace: 'sealift', name: 'bench', key: freshRandom(32) });
}

/** A sandbox in a process of its own. This process's AWS settings are those of the sandbox from then on. */
async function startSandbox(): Promise<AsyncDisposable> {
  const done = new AbortController();
  const { promise: ready, resolve, reject } = Promise.withResolvers<Record<string, string>>();
  const ended = runSealift(['sandbox', '--https', '--bucket', SANDBOX_BUCKET, '--json'], {
    cwd: process.cwd(),
    env: environmentWith({}),
    signal: done.signal,
    onLine: ({ env }) => resolve(env as Record<string, string>),
  }).then(({ stderr }) => reject(new Error(`The sandbox ended: ${stderr}`)), reject);
  process.env = environmentWith(await ready);
  return {
    async [Symbol.asyncDispose]() {
      done.abort();
      await ended;
    },
  };
}

function tell(event: BenchEvent, output: Output): void {
  output.json({ ...event });
  if (event.type === 'warning') output.warn(event.message);
  else output.say(event.type === 'bench' ? plannedText(event) : roundText(event));
}

function plannedText({ prefix, folder, mostBytes }: Extract<BenchEvent, { type: 'bench' }>): string {
  return `Writes into ${folder} and under ${prefix}, up to ${formatSize(mostBytes)} each at a time, and removes it again.`;
}

function roundText({ command, threads, lanes, partSize, bytesPerSecond }: Extract<BenchEvent, { type: 'round' }>) {
  const settings = `${counted(threads, 'thread')}, ${counted(lanes, 'part')} of ${formatSize(partSize)} in flight`;
  return `${command}  ${formatRate(bytesPerSecond).padStart(11)}  ${settings}`;
}

function resultText({ disk, cipher, checksumBytesPerSecond, target, put, get, best, limit }: BenchResult): string {
  const ciphers = cipher.map(({ threads, bytesPerSecond }) => `${formatRate(bytesPerSecond)} on ${threads}`).join(', ');
  const cached = disk.isCached ? ' (perhaps out of memory)' : '';
  return columns([
    ['disk', `reads ${formatRate(disk.readBytesPerSecond)}${cached}, writes ${formatRate(disk.writeBytesPerSecond)}`],
    ['cipher', `${ciphers}, alone, by threads`],
    ['checksum', `${formatRate(checksumBytesPerSecond)} on one thread`],
    ['round trip', `${(1000 * target.roundTripSeconds).toFixed(1)} ms`],
    ['data key', `${(1000 * target.dataKeySeconds).toFixed(1)} ms`],
    ['put', formatRate(put.bytesPerSecond)],
    ['get', formatRate(get.bytesPerSecond)],
    ['limit', limit.sentence],
    ['best flags', best.flags],
    ['compared', comparedText(best)],
  ]);
}

function comparedText({ compared, allGiven }: BenchResult['best']): string {
  if (allGiven) return 'nothing: --threads, --lanes and --part-size were given';
  return compared < 2 ? 'nothing, for want of time: give it more --seconds' : `${compared} settings`;
}

/** Settings that no job can have are told before a sandbox is started. */
async function checkWork(flags: BenchFlags): Promise<void> {
  const { checkGiven } = await import('../bench/choose.ts');
  checkGiven({ maxMemory: flags.maxMemory, fixed: given(flags) });
}

/** What a report cannot be written to is told before a minute is spent. */
async function checkReport(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) {
    throw new SealiftError('target-exists', `${file} exists already`, { hint: 'Remove it, or choose another name.' });
  }
  const { targetError } = await import('../parts/open-part.ts');
  await access(dirname(file), constants.W_OK).catch((error) => {
    throw targetError(file, error);
  });
}

async function writeReport(file: string, result: BenchResult): Promise<void> {
  const { reportPage } = await import('../bench/report.ts');
  const { targetError } = await import('../parts/open-part.ts');
  await writeFile(file, reportPage(result), { flag: 'wx' }).catch((error) => {
    throw targetError(file, error);
  });
}

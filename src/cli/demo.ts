/**
 * `sealift demo`: the guided tour, on this machine alone. Every step shows the command a person would type and what came
 * of it; a step that does not come out as told ends the tour with an error.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { EXIT, SealiftError } from '../errors.ts';
import { formatSize, MiB } from '../units.ts';
import { type ChildOptions, type Ending, type Line, runSealift } from './child.ts';
import type { Output } from './output.ts';
import { environmentWith } from './sandbox.ts';
import { stopOnSignals } from './signals.ts';

const FILE_SIZE = 256 * MiB;
const OBJECT = 's3://demo/film.mov';
const KEY = ['--kms-key', 'alias/sandbox'];
/** The put cannot be faster than its killer. It lies in the first half, so that it does not strike the resume. */
const FAULTS = 'UploadPart:12=stall';
/** The sandbox's, for counting what KMS was asked. */
const LOG = 'requests.log';
const RANGE = { first: 100_000_000, last: 100_000_999 };

const EXAMPLES = `
Examples:
  $ sealift demo
  $ npm start          # the same, in a checkout`;

export function addDemo(program: Command, output: Output): void {
  program
    .command('demo')
    .summary('the guided tour, on this machine alone')
    .description('Seals a file, kills the upload half way, goes on, gets it back: against a sandbox, in half a minute.')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const signal = stopOnSignals(output);
      const folder = await mkdtemp(join(tmpdir(), 'sealift-demo-'));
      const done = new AbortController();
      try {
        await new Tour(output, folder, AbortSignal.any([signal, done.signal])).walk(done);
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
}

class Tour {
  readonly #output: Output;
  readonly #folder: string;
  readonly #signal: AbortSignal;
  #env: Record<string, string> = {};
  #step = 0;

  constructor(output: Output, folder: string, signal: AbortSignal) {
    this.#output = output;
    this.#folder = folder;
    this.#signal = signal;
  }

  /** From the first step to the last. `done` ends the sandbox. */
  async walk(done: AbortController): Promise<void> {
    this.#tell(`Nothing of this leaves your machine. It happens in ${this.#folder}, which is removed at the end.`);
    const { ended } = await this.#startSandbox();
    try {
      const sum = await this.#makeFile();
      await this.#putAndKill();
      await this.#resume();
      await this.#getBack(sum);
      await this.#readRange();
      await this.#tamper();
      await this.#countCalls();
      this.#farewell();
    } finally {
      done.abort();
      await ended;
    }
  }

  /** The sandbox as a process of its own; resolves once it serves. `ended` resolves when it is gone. */
  async #startSandbox(): Promise<{ ended: Promise<unknown> }> {
    this.#title('A sandbox: S3 and KMS, over HTTPS, in a process of its own');
    const args = ['sandbox', '--https', '--bucket', 'demo', '--faults', FAULTS];
    this.#show(args);
    const { promise: ready, resolve, reject } = Promise.withResolvers<Line>();
    const sandbox = this.#sealift([...args, '--json', '--log', LOG], { onLine: resolve });
    const ended = sandbox.then(({ stderr }) => reject(new Error(`The sandbox ended: ${stderr}`)), reject);
    const { s3, env } = await ready;
    this.#env = env as Record<string, string>;
    this.#tell(`It listens at ${s3} and has one KMS key, alias/sandbox.`);
    this.#tell('Its one fault: the 12th part sent is never answered. That leaves time to pull the plug.');
    return { ended };
  }

  async #makeFile(): Promise<string> {
    this.#title(`A file of ${formatSize(FILE_SIZE)}`);
    this.#show(['head', '-c', '256M', '/dev/urandom', '>', 'film.mov']);
    const block = Buffer.alloc(MiB);
    const file = await open(join(this.#folder, 'film.mov'), 'wx');
    for (let written = 0; written < FILE_SIZE; written += block.length) await file.write(randomFillSync(block));
    await file.close();
    const sum = await this.#sha256('film.mov');
    this.#tell(`SHA-256 ${sum}`);
    return sum;
  }

  async #putAndKill(): Promise<void> {
    this.#title('Seal it into S3, and pull the plug half way');
    const args = ['put', 'film.mov', OBJECT, ...KEY];
    this.#show(args);
    let acked = 0;
    const { exit } = await this.#sealift([...args, '--json'], {
      onLine: ({ type, ackedBytes }, child) => {
        if (type !== 'progress') return;
        acked = ackedBytes as number;
        if (acked >= FILE_SIZE / 2) child.kill('SIGKILL');
      },
    });
    check(exit === undefined && acked < FILE_SIZE, 'the put was to be killed before its end');
    this.#tell(`kill -9, when S3 had acknowledged ${formatSize(acked)}.`);
  }

  async #resume(): Promise<void> {
    this.#title('Go on where it stopped');
    const { lines, stderr } = await this.#expect(EXIT.done, ['resume', '--explain'], ['--json']);
    check((lines.at(-1)?.partsReused as number) > 0, 'parts were to be kept');
    this.#tell(stderr);
  }

  async #getBack(sum: string): Promise<void> {
    this.#title('Get it back, and compare');
    const { stderr } = await this.#expect(EXIT.done, ['get', OBJECT, 'back.mov']);
    check((await this.#sha256('back.mov')) === sum, 'the file was to come back as it was');
    this.#tell(`${stderr}\nSHA-256 is the same: every byte came back.`);
  }

  async #readRange(): Promise<void> {
    const { first, last } = RANGE;
    this.#title('Read a thousand bytes out of the middle');
    const { stdout } = await this.#expect(EXIT.done, ['get', OBJECT, '-', '--range', `${first}-${last}`]);
    const file = await open(join(this.#folder, 'film.mov'));
    const wanted = Buffer.alloc(last - first + 1);
    await file.read(wanted, 0, wanted.length, first);
    await file.close();
    check(stdout.equals(wanted), 'the range was to be equal to the same bytes of the file');
    this.#tell('The right ones, and verified: the frame of 256 KiB they lie in was fetched for it.');
  }

  async #tamper(): Promise<void> {
    this.#title('Flip one byte in the store, and see it refused');
    await writeFile(join(this.#folder, 'letter.txt'), 'Pay the bearer one hundred crowns.\n');
    await this.#expect(EXIT.done, ['put', 'letter.txt', 's3://demo/letter.txt', ...KEY]);
    await flipByte(this.#env, { bucket: 'demo', key: 'letter.txt' });
    this.#tell('Somebody with access to the bucket changes one byte.');
    const { lines } = await this.#expect(EXIT.integrity, ['get', 's3://demo/letter.txt', 'stolen.txt'], ['--json']);
    const wasWritten = await readFile(join(this.#folder, 'stolen.txt')).then(
      () => true,
      () => false,
    );
    check(!wasWritten, 'nothing was to be written');
    const { message, code, exit } = lines.at(-1)!;
    this.#tell(`Refused, exit ${exit} (${code}): ${message}\nstolen.txt was not written.`);
  }

  async #countCalls(): Promise<void> {
    this.#title('What it cost');
    const log = await readFile(join(this.#folder, LOG), 'utf8');
    const calls = log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { service: string; operation: string });
    const asked = Map.groupBy(
      calls.filter(({ service }) => service === 'kms'),
      ({ operation }) => operation,
    );
    const counts = [...asked].map(([operation, { length }]) => `${operation} ${length}`);
    this.#tell(`KMS was asked once a command, however large the file: ${counts.join(', ')}.`);
  }

  #farewell(): void {
    const sealift = extname(import.meta.filename) === '.ts' ? 'npm run -s sealift --' : 'sealift';
    this.#output.print(`\n${bold('All as told. What to try next:')}`);
    this.#output.print(`   $ ${sealift} sandbox --https --bucket demo -- bash`);
    this.#output.print('   and in that shell, where Sealift and every other AWS tool find the sandbox:');
    this.#output.print(`   $ ${sealift} put README.md s3://demo/ --kms-key alias/sandbox`);
    this.#output.print(`   $ ${sealift} inspect s3://demo/README.md`);
  }

  /** Shows a command, runs it, and wants it to end as said. `unseen` flags are ours, not a person's. */
  async #expect(exit: number, args: readonly string[], unseen: readonly string[] = []): Promise<Ending> {
    this.#show(args);
    const ending = await this.#sealift([...args, ...unseen]);
    check(ending.exit === exit, `\`sealift ${args.join(' ')}\` was to exit with ${exit}: ${ending.stderr}`);
    return ending;
  }

  #sealift(args: readonly string[], options: Pick<ChildOptions, 'onLine'> = {}): Promise<Ending> {
    const env = environmentWith({ ...this.#env, SEALIFT_STATE_DIR: join(this.#folder, 'state') });
    return runSealift(args, { cwd: this.#folder, env, signal: this.#signal, ...options });
  }

  async #sha256(name: string): Promise<string> {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(this.#folder, name), { highWaterMark: MiB }), hash);
    return hash.digest('hex');
  }

  #title(text: string): void {
    this.#output.print(`\n${bold(`${++this.#step}  ${text}`)}`);
  }

  #show(words: readonly string[]): void {
    const command = words.map((word) => (/[ :=;]/.test(word) && !word.includes('//') ? `'${word}'` : word)).join(' ');
    this.#output.print(styleText('cyan', `   $ ${words[0] === 'head' ? command : `sealift ${command}`}`));
  }

  #tell(text: string): void {
    this.#output.print(text.replace(/^/gm, '   '));
  }
}

function bold(text: string): string {
  return styleText('bold', text);
}

function check(asTold: boolean, what: string): asserts asTold {
  if (!asTold) throw new SealiftError('internal', `The demo did not come out as told: ${what}`);
}

/** What anyone with access to the bucket can do. */
async function flipByte(env: Record<string, string>, { bucket, key }: { bucket: string; key: string }): Promise<void> {
  const { GetObjectCommand, PutObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({
    endpoint: env.AWS_ENDPOINT_URL_S3!,
    region: env.AWS_REGION!,
    credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! },
    forcePathStyle: true,
    requestHandler: { httpsAgent: { ca: await readFile(env.AWS_CA_BUNDLE!) } },
  });
  const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const bytes = await Body!.transformToByteArray();
  bytes[bytes.length - 20]! ^= 1;
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, Metadata }));
  client.destroy();
}

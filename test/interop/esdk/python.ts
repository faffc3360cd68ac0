/** AWS's Python client and its command line as peers, and moto, each out of a virtual environment made for it. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ALL_SUITES } from '../../formats/writer.ts';
import { measure } from '../../support/measure.ts';
import { type Answer, type Cell, COMMITTING, type Job, type Key, type Keys, type Peer } from './cells.ts';
import { inTurn } from './javascript.ts';

const HERE = import.meta.dirname;

/** The bin folder of a virtual environment with these requirements, made where it is not there yet. */
export function virtualEnvironment(requirements: string): string {
  const file = join(HERE, requirements);
  const version = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 8);
  const folder = join(tmpdir(), 'sealift-interop', `esdk-python-${version}`);
  const finished = join(folder, 'finished');
  const bin = join(folder, 'bin');
  if (!existsSync(finished)) {
    console.log(`installing ${requirements} into ${folder}`);
    mkdirSync(folder, { recursive: true });
    execFileSync('python3', ['-m', 'venv', '--clear', folder], { stdio: 'inherit' });
    const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', file];
    execFileSync(join(bin, 'python'), install, { stdio: 'inherit' });
    writeFileSync(finished, '');
  }
  return bin;
}

interface PythonPeer {
  name: string;
  /** Of its virtual environment. */
  bin: string;
  /** As client.py calls them. */
  kind: 'mpl' | 'legacy';
}

/** One process does all jobs of a batch. */
export function pythonPeer(keys: Keys, { name, bin, kind }: PythonPeer): Peer {
  return {
    name,
    // It takes frames in multiples of 128 bytes, and 0 for none.
    writes: ({ frameSize }) => frameSize % 128 === 0,
    reads: () => true,
    async run(jobs) {
      const child = spawn(join(bin, 'python'), [join(HERE, 'client.py'), kind], { stdio: ['pipe', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      child.stdin.end(JSON.stringify({ keys, jobs }));
      const answers = await text(child.stdout);
      const [exit] = await exited;
      if (exit !== 0) throw new Error(`${name} ended with ${exit}`);
      return JSON.parse(answers) as Answer[];
    },
  };
}

/** AWS's command line, which knows KMS keys only. One process a job: a few cells are enough. */
export function pythonCommandPeer(keys: Keys, bin: string, isTried: (cell: Cell) => boolean): Peer {
  async function answer(job: Job): Promise<Answer> {
    const key = keys[job.keyring[0]!] as Extract<Key, { type: 'kms' }>;
    process.env.AWS_ENDPOINT_URL_KMS = key.endpoint;
    const old = job.suite < COMMITTING;
    const policy = old ? 'forbid-encrypt-allow-decrypt' : 'require-encrypt-require-decrypt';
    const context = Object.entries(job.context).map(([name, value]) => `${name}=${value}`);
    const common = ['--wrapping-keys', 'provider=aws-kms', `key=${key.arn}`, '--commitment-policy', policy];
    const options = [...common, '--encryption-context', ...context, '--suppress-metadata', '--output', '-'];
    const input = job.do === 'write' ? job.plain : job.sealed;
    const action =
      job.do === 'write'
        ? ['--encrypt', '--algorithm', nameOf(job.suite), '--frame-length', String(job.frameSize)]
        : ['--decrypt'];
    const command = [join(bin, 'aws-encryption-cli'), ...action, '--input', input, ...options];
    const into = job.do === 'write' ? `> '${job.sealed}'` : '| sha256sum';
    const { exit, stdout, stderr } = await measure(command, { into });
    if (exit !== 0) throw new Error(`exit ${exit}: ${stderr}`);
    return { error: null, sha256: job.do === 'write' ? null : stdout.slice(0, 64) };
  }
  const isKms = ({ keyring }: Cell) => keyring.name === 'KMS sandbox';
  return {
    name: 'Python command',
    writes: (cell) => isTried(cell) && isKms(cell),
    reads: (cell) => isTried(cell) && isKms(cell),
    run: (jobs) => inTurn(jobs, answer),
  };
}

/** The suite as the Python client spells it. */
function nameOf(suite: number): string {
  return ALL_SUITES.find(({ id }) => id === suite)!.name.replace('_NO_KDF', '');
}

/** A KMS that others wrote. */
export interface Moto {
  key: Key;
  stop(): void;
}

export async function startMoto(bin: string, region: string): Promise<Moto> {
  const port = await freePort();
  const program = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const moto = spawn(join(bin, 'python'), program, { stdio: 'ignore' });
  const endpoint = `http://127.0.0.1:${port}`;
  // It takes some seconds to start: the SDK asks until it answers.
  const kms = new KMSClient({ endpoint, region, maxAttempts: 30 });
  try {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    return { key: { type: 'kms', arn: KeyMetadata!.Arn!, endpoint }, stop: () => void moto.kill() };
  } catch (error) {
    moto.kill();
    throw error;
  } finally {
    kms.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

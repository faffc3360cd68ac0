/**
 * The official S3 Encryption Clients as peers: built once into a folder of this machine's temporary ones, each a
 * process that does one job a line. A peer whose tools are missing here says which.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Wrapping = 'kms' | 'aes' | 'rsa';
export type Format = 'v2' | 'v3';

export interface Keys {
  /** ARN of a KMS key. */
  kms: string;
  /** Base64: 32 bytes; PKCS#8; SPKI. */
  aes: string;
  rsaPrivate: string;
  rsaPublic: string;
}

export interface Job {
  op: 'put' | 'get';
  bucket: string;
  key: string;
  /** Where the plain bytes come from or go to. */
  file: string;
  format: Format;
  policy: string;
  wrapping: Wrapping;
  keys: Keys;
  context: Record<string, string>;
  multipart?: boolean;
  instructionFile?: boolean;
  range?: string;
  legacy?: boolean;
  delayed?: boolean;
}

export interface Answer {
  ok: boolean;
  /** There where it is not. */
  error?: string;
  /** Of the plain bytes that a Java client got. */
  sha256?: string | null;
}

/** What a client can do at all. What it writes it reads. */
export interface Peer {
  name: string;
  writes: Format[];
  wrappings: Wrapping[];
  instructionFiles: boolean;
  readsInstructionFiles: boolean;
  multipart: boolean;
  ranges: boolean;
}

/** A client at work. */
export interface Writer {
  peer: Peer;
  run(job: Job): Promise<Answer>;
  close(): void | Promise<void>;
}

interface OfficialPeer extends Peer {
  /** Builds it where that is needed, and says how it is started. Throws where its tools are missing. */
  build(): string[];
}

const HERE = import.meta.dirname;
const BUILT = join(tmpdir(), 'sealift-interop');

function java(flavor: 'v3' | 'v4', version: string, writes: Format[]): OfficialPeer {
  return {
    name: `Java ${version}`,
    writes,
    wrappings: ['kms', 'aes', 'rsa'],
    instructionFiles: true,
    readsInstructionFiles: true,
    multipart: true,
    ranges: true,
    build() {
      const folder = join(BUILT, `java-${flavor}`);
      const options = ['-q', '-B', '-P', flavor, `-Dbuild.folder=${folder}`, 'package'];
      execFileSync('mvn', options, { cwd: join(HERE, 'java'), stdio: ['ignore', 'ignore', 'inherit'] });
      return ['java', '-cp', `${join(folder, 'classes')}:${join(folder, 'dependency')}/*`, 'Peer'];
    },
  };
}

const NEWEST_JAVA = java('v4', '4.0.1', ['v2', 'v3']);

const PEERS: OfficialPeer[] = [
  NEWEST_JAVA,
  java('v3', '3.5.0', ['v2']),
  {
    name: 'Go 4.0.0',
    writes: ['v2', 'v3'],
    wrappings: ['kms'],
    instructionFiles: false,
    readsInstructionFiles: false,
    multipart: false,
    ranges: false,
    build() {
      const program = join(BUILT, 'go-v4');
      mkdirSync(BUILT, { recursive: true });
      // go.sum holds the checksums; no database need be asked for them.
      const env = { ...process.env, GONOSUMDB: '*' };
      execFileSync('go', ['build', '-o', program, '.'], { cwd: join(HERE, 'go'), env, stdio: 'inherit' });
      return [program];
    },
  },
  {
    name: 'Python 4.0.0',
    writes: ['v2', 'v3'],
    wrappings: ['kms'],
    instructionFiles: false,
    readsInstructionFiles: true,
    multipart: true,
    ranges: false,
    build() {
      const folder = join(BUILT, 'python');
      const python = join(folder, 'bin', 'python');
      if (!existsSync(python)) execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
      const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', 'requirements.txt'];
      execFileSync(python, install, { cwd: join(HERE, 'python'), stdio: 'inherit' });
      return [python, join(HERE, 'python', 'peer.py')];
    },
  },
];

/** A peer that runs. */
export class RunningPeer implements Writer {
  readonly peer: Peer;
  readonly #child: ChildProcess;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  constructor(peer: Peer, [program, ...options]: string[], env: Readonly<Record<string, string>>) {
    this.peer = peer;
    this.#child = spawn(program!, options, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
    this.#child.on('exit', (code) => {
      for (const tell of this.#waiting.splice(0)) tell({ ok: false, error: `${peer.name} ended with ${code}` });
    });
  }

  /** Jobs are done one after the other, in the order they are given. */
  run(job: Job): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin!.write(`${JSON.stringify(job)}\n`);
    });
  }

  readonly close = (): void => {
    this.#child.stdin!.end();
  };
}

/** Builds and starts every peer that can be had here; `missing` hears of the others. */
export function startPeers(env: Readonly<Record<string, string>>, missing: (text: string) => void): RunningPeer[] {
  return PEERS.flatMap((peer) => {
    try {
      return [new RunningPeer(peer, peer.build(), env)];
    } catch (error) {
      missing(`${peer.name} is left out: ${error instanceof Error ? error.message : error}`);
      return [];
    }
  });
}

/** Java's alone, for whoever wants only to know whether an official client opens what we wrote. */
export function startJava(env: Readonly<Record<string, string>>): RunningPeer {
  return new RunningPeer(NEWEST_JAVA, NEWEST_JAVA.build(), env);
}

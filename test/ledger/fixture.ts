/** What the ledger's tests share: a job, an attempt, part rows, a state folder, and a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSecretKey } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SealiftError } from '../../src/errors.ts';
import {
  type Intent,
  jobIdOf,
  Ledger,
  type NewAttempt,
  type NewDownload,
  type NewJob,
  type Receipt,
  type WrittenPiece,
} from '../../src/ledger/ledger.ts';

export const KEY = createSecretKey(Buffer.alloc(32, 7));
export const OTHER_KEY = createSecretKey(Buffer.alloc(32, 8));

export const JOB: NewJob = {
  command: 'put',
  source: '/data/film.mov',
  target: 's3://vault/film.mov',
  options: { a: 1 },
};

export const ATTEMPT: NewAttempt = {
  format: 'esdk',
  source: {
    path: JOB.source,
    size: 1000,
    mtimeNs: '1700000000123456789',
    ctimeNs: '2',
    inode: '3',
    device: '4',
    mode: '0644',
  },
  sealiftId: '00112233445566778899aabbccddeeff',
  single: false,
  header: Uint8Array.from({ length: 300 }, (_, index) => index % 251),
  layout: {
    plainSize: 1000,
    frameSize: 10,
    headerSize: 300,
    frameCount: 100,
    partFrameCount: 5,
    partCount: 20,
    sealedSize: 4508,
  },
  condition: { ifNoneMatch: '*' },
  headers: { metadata: { mtime: '1.000000000' }, tags: { team: 'archive' } },
};

export const DOWNLOAD: NewDownload = {
  objectUrl: JOB.target,
  etag: '"e"',
  versionId: 'v1',
  objectSize: 4508,
  tempPath: '/data/.film.mov.tmp',
  header: ATTEMPT.header,
  partUnitCount: 5,
  range: { first: 0, last: 999 },
  plainSize: 1000,
  pieceCount: 20,
};

export function intentOf(number: number): Intent {
  const sharedTags = { [number * 32]: `tag ${number}` };
  return {
    number,
    fingerprint: new Uint8Array(32).fill(number),
    sealedSize: 210 + number,
    crc32: number * 7,
    sharedTags,
  };
}

export function receiptOf(number: number): Receipt {
  return { number, etag: `"etag ${number}"`, sealedSize: 210 + number, crc32: number * 7 };
}

export function pieceOf(number: number): WrittenPiece {
  return { number, crc32: number * 7 };
}

/** In memory where the system offers it: these tests make hundreds of ledgers, and each costs several syncs. */
const PARENT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A state folder of mode 0700 that goes away with the test. */
export class StateDir implements Disposable {
  readonly path = mkdtempSync(join(PARENT, 'sealift-ledger-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The code of the SealiftError that `work` throws; anything else it does fails the test. */
export function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof SealiftError) return thrown.code;
    throw thrown;
  }
  return 'nothing thrown';
}

/** Everything a ledger tells, or the code of its refusal. */
export function readAll(stateDir: string): unknown {
  try {
    using ledger = Ledger.open(stateDir, jobIdOf(JOB));
    const attempt = ledger.attempt();
    if (!attempt) return { job: ledger.job };
    ledger.unlock(KEY);
    const intents = [...ledger.intents().values()];
    const receipts = [...ledger.receipts().values()];
    return { job: ledger.job, attempt, intents, receipts, pieces: [...ledger.pieces().values()] };
  } catch (thrown) {
    if (thrown instanceof SealiftError) return thrown.code;
    throw thrown;
  }
}

/** A put's ledger with all its parts done, closed. */
export async function closedLedger(stateDir: string, partCount: number): Promise<void> {
  using ledger = Ledger.create(stateDir, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.setUploadId('upload');
  const numbers = Array.from({ length: partCount }, (_, index) => index + 1);
  await Promise.all(numbers.map((number) => ledger.recordIntent(intentOf(number))));
  await Promise.all(numbers.map((number) => ledger.recordReceipt(receiptOf(number))));
}

/** The bytes of a ledger that nobody has open, put back into the same inodes: to SQLite it has never moved. */
export class Snapshot {
  readonly #db: string;
  readonly db: Buffer;
  readonly wal: Buffer;

  constructor(stateDir: string, jobId: string) {
    this.#db = join(stateDir, `${jobId}.db`);
    this.db = readFileSync(this.#db);
    this.wal = existsSync(`${this.#db}-wal`) ? readFileSync(`${this.#db}-wal`) : Buffer.alloc(0);
  }

  restore({ db = this.db, wal = this.wal } = {}): void {
    rmSync(`${this.#db}-shm`, { force: true });
    writeFileSync(this.#db, db);
    writeFileSync(`${this.#db}-wal`, wal);
  }
}

export const CHILD = new URL('child.ts', import.meta.url).pathname;

/** Runs child.ts; its lines can be awaited one after the other. */
export class Child implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown>;

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [CHILD, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
    this.#exit = new Promise((resolve) => this.process.once('exit', resolve));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Undefined once it has ended. */
  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended();
  }

  async ended(): Promise<void> {
    await this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

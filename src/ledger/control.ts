/**
 * Orders to a running job: `JOB.sock` beside its ledger, a socket that only its owner can speak to. One line of JSON goes in,
 * one comes back. Whoever holds the job's lock listens; what a killed process left of a socket is removed by the next one.
 */
import { once } from 'node:events';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SealiftError } from '../errors.ts';
import { jobFiles, noSuchJob } from './files.ts';

/** What of a running job can be changed. */
export interface JobChanges {
  /** Sealed bytes a second. */
  bwlimit: number;
}

/** An order is shorter by far; whoever sends more is not one of us. */
const LONGEST_ORDER = 4096;

export class JobControl implements Disposable {
  readonly #server: Server;
  readonly #socket: string;
  readonly #clients = new Set<Socket>();

  private constructor(socket: string, change: (changes: JobChanges) => void) {
    this.#socket = socket;
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#clients.add(client);
      client.on('close', () => this.#clients.delete(client));
      client.on('error', () => client.destroy());
      void answer(client, change);
    });
    // A job that has ended is not kept from ending.
    this.#server.unref();
  }

  /**
   * Listens for whoever holds the job's lock. `change` throws what it refuses. Undefined where nobody can listen, as where the
   * path is longer than a socket's may be: the job then runs without.
   */
  static async open(
    stateDir: string,
    id: string,
    change: (changes: JobChanges) => void,
  ): Promise<JobControl | undefined> {
    const { socket } = jobFiles(stateDir, id);
    rmSync(socket, { force: true });
    const control = new JobControl(socket, change);
    try {
      control.#server.listen(socket);
      await once(control.#server, 'listening');
      chmodSync(socket, 0o600);
      return control;
    } catch {
      control[Symbol.dispose]();
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    rmSync(this.#socket, { force: true });
  }
}

async function answer(client: Socket, change: (changes: JobChanges) => void): Promise<void> {
  try {
    let order = '';
    for await (const chunk of client.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      order += chunk;
      if (order.length > LONGEST_ORDER) return void client.destroy();
    }
    change(JSON.parse(order) as JobChanges);
    client.end(JSON.stringify({}));
  } catch (thrown) {
    const { code, message, hint } = SealiftError.from(thrown);
    client.end(JSON.stringify({ error: { code, message, hint } }));
  }
}

/** Changes a job that another process runs. Throws what that refuses, `no-such-job`, and `usage` where it cannot be reached. */
export async function changeJob(stateDir: string, id: string, changes: JobChanges): Promise<void> {
  const { db, socket } = jobFiles(stateDir, id);
  if (!existsSync(db)) throw noSuchJob(id);
  const client = connect({ path: socket, allowHalfOpen: true });
  let answered: string;
  try {
    await once(client, 'connect');
    client.end(JSON.stringify(changes));
    answered = await text(client);
  } catch (thrown) {
    throw new SealiftError('usage', `Job ${id} cannot be reached: only a running migration can be changed`, {
      hint: `\`sealift jobs ${id}\` shows whether it runs. A resume takes the flag itself.`,
      cause: thrown,
    });
  }
  const { error } = JSON.parse(answered) as { error?: Pick<SealiftError, 'code' | 'message' | 'hint'> };
  if (error) throw new SealiftError(error.code, error.message, { hint: error.hint });
}

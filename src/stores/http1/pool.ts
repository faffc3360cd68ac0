/** The connections to one server: kept for further requests, and so many at most; requests beyond wait in a row. */
import { addAbortListener } from 'node:events';
import { type Answer, Connection, type Request, type Server } from './connection.ts';

/** Gets a connection that rests, or, without one, leave to open another. */
type Waiting = (connection: Connection | undefined) => void;

export class ConnectionPool {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting: Waiting[] = [];
  /** Connections that may yet be opened. */
  #places: number;

  constructor(server: Server, { maxCount }: { maxCount: number }) {
    this.#server = server;
    this.#places = maxCount;
  }

  /** As `Connection.exchange`. */
  async exchange(request: Request): Promise<Answer> {
    const connection = await this.#take(request.signal);
    return await connection.exchange(request);
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  async #take(signal: AbortSignal | undefined): Promise<Connection> {
    signal?.throwIfAborted();
    const resting = this.#rested();
    if (resting) return resting;
    if (this.#places > 0) {
      this.#places -= 1;
      return this.#open();
    }
    return (await this.#turn(signal)) ?? this.#open();
  }

  /** The one that was used last. The others may rest until they are dropped. */
  #rested(): Connection | undefined {
    for (let last = this.#idle.pop(); last; last = this.#idle.pop()) {
      if (!last.isUsable) continue;
      last.isIdle = false;
      return last;
    }
    return undefined;
  }

  #open(): Connection {
    const connection = new Connection(this.#server, {
      onIdle: (idle) => this.#give(idle),
      onClosed: (closed) => {
        this.#connections.delete(closed);
        const index = this.#idle.indexOf(closed);
        if (index >= 0) this.#idle.splice(index, 1);
        this.#give(undefined);
      },
    });
    this.#connections.add(connection);
    return connection;
  }

  /** First come, first served. */
  #give(connection: Connection | undefined): void {
    const next = this.#waiting.shift();
    if (next) next(connection);
    else if (connection) this.#rest(connection);
    else this.#places += 1;
  }

  #rest(connection: Connection): void {
    connection.isIdle = true;
    this.#idle.push(connection);
  }

  async #turn(signal: AbortSignal | undefined): Promise<Connection | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection | undefined>();
    this.#waiting.push(resolve);
    using _listening = signal
      ? addAbortListener(signal, () => {
          const index = this.#waiting.indexOf(resolve);
          if (index < 0) return;
          this.#waiting.splice(index, 1);
          reject(signal.reason);
        })
      : undefined;
    return await promise;
  }
}

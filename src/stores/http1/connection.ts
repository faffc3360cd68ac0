/**
 * One connection to a server of HTTP/1.1, for one exchange after another. Node's own client passes every byte through two
 * streams, and every request through some fifty listeners; that costs more than TLS does.
 *
 * A body goes out in slices: the next one is asked for only when the kernel has taken the one before. So TLS never holds a
 * second copy of a part, and a slice's buffer can be used again at once. A server may answer, an error most often, before it has
 * read the body: that connection is closed, and the exchange ends only then. Whatever breaks one, who waits hears of it
 * when the socket is closed: from then on nothing is read into a reader's bytes, or sent of a sender's.
 */
import { addAbortListener } from 'node:events';
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { connect as connectTls, type SecureContext, type SecureVersion } from 'node:tls';
import { KiB } from '../../units.ts';
import { AnswerBody } from './body.ts';
import { type AnswerHead, badAnswer, framingOf, type Headers, parseHead } from './head.ts';
import { Inlet } from './inlet.ts';

/** As many as S3, and any proxy, sends a few times over. */
const MAX_HEAD_SIZE = 64 * KiB;
/** Answers that only say that one is to come. */
const MAX_INTERIM_COUNT = 16;

export interface Server {
  host: string;
  port: number;
  /** Undefined for plain HTTP. */
  tls: { secureContext: SecureContext } | { minVersion: SecureVersion } | undefined;
  /** No byte moves for so long while one is waited for: the connection is given up. */
  stallMs: number;
  /** By which the next connection need not prove everything anew. */
  session?: Buffer | undefined;
}

export interface Request {
  head: string;
  body?: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** To be read to its end or disposed of: until then it holds the connection. Of a request with a body `words` are all of it. */
  body: AnswerBody;
  words: string | undefined;
}

/** What becomes of a connection. */
export interface Owner {
  /** It can be used again. */
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

export class Connection {
  readonly #owner: Owner;
  readonly #stallMs: number;
  readonly #socket: Socket;
  readonly #inlet: Inlet;
  readonly #ready = Promise.withResolvers<void>();
  #isReady = false;
  #isIdle = false;
  /** The server has closed its side. */
  #isEnded = false;
  /** A slice is being made: what takes its time is not the server. */
  #isMaking = false;
  #failure: Error | undefined;
  #failWrite: ((error: Error) => void) | undefined;
  #stopListening: Disposable | undefined;

  /** Begins to connect. */
  constructor(server: Server, owner: Owner) {
    this.#owner = owner;
    this.#stallMs = server.stallMs;
    this.#inlet = new Inlet({
      // Whoever is slow to take what has arrived is no stall: the clock starts anew when he comes back.
      resume: () => this.#socket.setTimeout(this.#stallMs).resume(),
      onStray: () => {
        if (this.#isIdle) this.destroy();
      },
    });
    this.#socket = connect(server, this.#inlet.onread, () => {
      this.#isReady = true;
      this.#ready.resolve();
    });
    this.#socket
      .setNoDelay(true)
      .setTimeout(this.#stallMs)
      .on('timeout', () => this.#onTimeout())
      .on('error', (error) => this.destroy(error))
      .on('end', () => {
        this.#isEnded = true;
        this.destroy();
      })
      .on('close', () => this.#onClose())
      .resume();
    this.#ready.promise.catch(() => {});
  }

  get isUsable(): boolean {
    return !this.#socket.destroyed;
  }

  /** Laid to rest, where it keeps no process alive, or taken out of it. */
  set isIdle(isIdle: boolean) {
    this.#isIdle = isIdle;
    if (!isIdle) {
      this.#socket.ref();
      return;
    }
    this.#socket.unref();
    this.#inlet.resume();
  }

  destroy(why: Error = hangUp()): void {
    this.#failure ??= why;
    this.#socket.destroy();
  }

  /** One at a time. Rejects with what Node says of the network, with what `body` throws, or with the signal's reason. */
  async exchange({ head, body, signal }: Request): Promise<Answer> {
    if (signal) this.#stopListening = addAbortListener(signal, () => this.destroy(signal.reason));
    this.#socket.setTimeout(this.#stallMs);
    await this.#ready.promise;
    const sending = { isOver: false, isStopped: false };
    const sent = this.#send(head, body, sending).catch((error: Error) => this.destroy(error));
    try {
      const answer = await this.#readHead();
      // That the last bytes went out may be told a turn after the answer to them.
      if (!sending.isOver) await setImmediate();
      sending.isStopped = true;
      const { status, headers } = answer;
      const rest = this.#bodyOf(answer, { isEarly: !sending.isOver });
      return { status, headers, body: rest, words: body && (await rest.text()) };
    } catch (error) {
      this.#stopListening?.[Symbol.dispose]();
      this.destroy(error as Error);
      throw error;
    } finally {
      sending.isStopped = true;
      await sent;
    }
  }

  async #send(
    head: string,
    body: Request['body'] = [],
    sending: { isOver: boolean; readonly isStopped: boolean },
  ): Promise<void> {
    let unsent = head;
    this.#isMaking = true;
    try {
      for await (const slice of body) {
        if (sending.isStopped) return;
        await this.#write(unsent, slice);
        unsent = '';
      }
      if (unsent !== '') await this.#write(unsent);
      sending.isOver = true;
    } finally {
      this.#isMaking = false;
    }
  }

  /** Resolves when the kernel has taken it; rejects where the connection is closed before. */
  #write(head: string, slice?: Uint8Array): Promise<void> {
    const socket = this.#socket;
    this.#isMaking = false;
    return new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(this.#why());
      this.#failWrite = reject;
      const onWritten = (error?: Error | null) => {
        this.#isMaking = true;
        if (!error) resolve();
      };
      socket.cork();
      if (head !== '') socket.write(head, 'latin1', slice ? undefined : onWritten);
      if (slice) socket.write(slice, onWritten);
      socket.uncork();
    });
  }

  async #readHead(): Promise<AnswerHead> {
    for (let count = 0; count <= MAX_INTERIM_COUNT; count++) {
      const text = await this.#inlet.readUntil('\r\n\r\n', MAX_HEAD_SIZE);
      if (text === undefined) throw this.#why();
      const head = parseHead(text);
      if (head.status >= 200) return head;
      if (head.status === 101) throw badAnswer('a change of protocol');
    }
    throw badAnswer('too many heads');
  }

  #bodyOf(head: AnswerHead, { isEarly }: { isEarly: boolean }): AnswerBody {
    const framing = framingOf(head);
    const source = {
      inlet: this.#inlet,
      isEnded: () => this.#isEnded,
      failure: () => this.#why(),
      onDone: ({ isWhole }: { isWhole: boolean }) => {
        this.#stopListening?.[Symbol.dispose]();
        const isClean = isWhole && !isEarly && this.#inlet.isEmpty && this.isUsable;
        if (isClean && head.isKept && framing !== 'until-close') this.#owner.onIdle(this);
        else this.destroy();
      },
    };
    return new AnswerBody(source, framing);
  }

  /** Of a body that is sent, Node counts as movement what the kernel took: a stall is noticed after one to two `stallMs`. */
  #onTimeout(): void {
    if (this.#isIdle) this.destroy();
    // A body's last slice may be followed by nothing that would start the clock again.
    if (this.#isMaking) return void this.#socket.setTimeout(this.#stallMs);
    if (this.#isReady && !this.#inlet.isWaiting) return;
    this.destroy(Object.assign(new Error(`No byte moved for ${this.#stallMs} ms`), { code: 'ETIMEDOUT' }));
  }

  #why(): Error {
    return this.#failure ?? hangUp();
  }

  #onClose(): void {
    const failure = this.#why();
    this.#stopListening?.[Symbol.dispose]();
    this.#ready.reject(failure);
    this.#failWrite?.(failure);
    this.#inlet.close();
    this.#owner.onClosed(this);
  }
}

function connect(server: Server, onread: OnReadOpts, onReady: () => void): Socket {
  const { host, port, tls, session } = server;
  if (!tls) return connectTcp({ host, port, onread }, onReady);
  // Nothing is sent before the server has proven itself. An address is no name that it could be asked for by.
  const names = { servername: isIP(host) === 0 ? host : '', ALPNProtocols: ['http/1.1'] };
  let isProven = false;
  const options = { host, port, ...names, ...tls, ...(session ? { session } : {}), onread };
  return connectTls(options, () => {
    isProven = true;
    onReady();
  })
    .on('session', (next) => {
      server.session = next;
    })
    .on('close', () => {
      if (!isProven) server.session = undefined;
    });
}

/** As Node has it. The loop of retries takes it for transient. */
function hangUp(): Error {
  return Object.assign(new Error('The connection was closed before all was answered'), { code: 'ECONNRESET' });
}

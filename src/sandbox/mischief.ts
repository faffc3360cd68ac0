/** What faults do: to an exchange before its operation, to bytes on their way in, to bytes stored, to the answer. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, type Readable, Transform, type Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { Body } from './body.ts';
import { ConnectionLost, type Exchange } from './exchange.ts';
import { S3Error } from './s3/errors.ts';
import type { Payload } from './sigv4.ts';

/** The body of a request, disturbed as it comes and as it is stored. */
export function newBody(exchange: Exchange, payload: Payload): Body {
  return new Body(exchange, {
    payload,
    disturb: (source) => disturb(source, exchange),
    disturbStored(sink: Writable) {
      if (exchange.fault?.kind !== 'corrupt') return sink;
      const flip = flipByte(exchange.fault.offset ?? 0);
      through(flip, sink);
      return flip;
    },
  });
}

/** What a fault does to the bytes of an answer. */
export function disturbAnswer(answer: Readable, exchange: Exchange): Readable {
  const { fault } = exchange;
  return disturb(fault?.kind === 'corrupt' ? through(answer, flipByte(fault.offset ?? 0)) : answer, exchange);
}

/** What a fault does to bytes whichever way they go. */
function disturb(source: Readable, { fault, request }: Exchange): Readable {
  if (fault?.kind === 'slow') return through(source, slowDown(fault.bytesPerSecond));
  if (fault?.kind === 'reset') return through(source, cutAfter(fault.afterBytes, request.socket));
  return source;
}

/** Pipes one stream into another; when either breaks so does the other, and whoever uses the second hears of it. */
function through<T extends Writable>(from: Readable, to: T): T {
  pipeline(from, to, () => {});
  return to;
}

/** What a fault does before the operation begins. Throws the error it orders, or ConnectionLost. */
export async function endure({ fault, response, request }: Exchange): Promise<void> {
  if (fault?.kind === 'status') throw S3Error.ordered(fault.status, fault.code);
  if (fault?.kind === 'reset' && fault.afterBytes === 0) {
    cut(request.socket);
    throw new ConnectionLost();
  }
  if (fault?.kind === 'stall') {
    const gone = new Promise<void>((resolve) => (response.closed ? resolve() : response.once('close', resolve)));
    await (fault.ms === undefined ? gone : Promise.race([gone, delay(fault.ms)]));
    if (response.destroyed) throw new ConnectionLost();
  }
}

/** The call has taken effect; nobody hears of it. */
export function loseAnswer(response: ServerResponse): never {
  if (response.socket) cut(response.socket);
  throw new ConnectionLost();
}

/** Ends a connection without a word. A TCP socket sends a reset; TLS has only the end without its close_notify. */
function cut(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** Passes so many bytes on, then resets the connection. */
function cutAfter(size: number, socket: Socket): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed <= size) return done(null, chunk);
      this.push(chunk.subarray(0, chunk.length - (passed - size)));
      // What was passed on gets a moment to leave before the reset overtakes it.
      setTimeout(() => cut(socket), 5);
    },
  });
}

/** Passes bytes on at this rate. */
function slowDown(bytesPerSecond: number): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      setTimeout(() => done(null, chunk), (chunk.length / bytesPerSecond) * 1000);
    },
  });
}

/** Flips one bit of the byte at `offset`. */
function flipByte(offset: number): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const at = offset - passed;
      passed += chunk.length;
      if (at < 0 || at >= chunk.length) return done(null, chunk);
      // The chunk may be shared with whoever made it.
      const copy = Buffer.from(chunk);
      copy[at]! ^= 1;
      done(null, copy);
    },
  });
}

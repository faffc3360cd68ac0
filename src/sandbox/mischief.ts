/** What faults do to a stream of bytes. */
import type { Socket } from 'node:net';
import { Transform } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Ends a connection without a word. A TCP socket sends a reset; TLS has only the end without its close_notify. */
export function cut(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** Passes so many bytes on, then resets the connection. */
export function cutAfter(size: number, socket: Socket): Transform {
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
export function slowDown(bytesPerSecond: number): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      setTimeout(() => done(null, chunk), (chunk.length / bytesPerSecond) * 1000);
    },
  });
}

/** Flips one bit of the byte at `offset`. */
export function flipByte(offset: number): Transform {
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

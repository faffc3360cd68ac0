/**
 * The stall deadline, against servers that fall silent in every way a server can. Raw sockets: the sandbox is too
 * well-behaved for most of these.
 */

import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Retry } from '../../src/network.ts';
import { readWhole, slicesOf } from '../../src/stores/object-stream.ts';
import { S3Store } from '../../src/stores/s3.ts';

const STALL_MS = 200;

/** For what must not count as a stall: a busy machine pauses us for longer than the other now and then. */
const PATIENT_MS = 1000;

/** Longer than any deadline here may take: a stall is noticed after one to two stalls, and tried twice. */
const SOON_MS = 10 * STALL_MS;

let server: Server;
let store: S3Store;
const sockets = new Set<Socket>();
const retries: Retry[] = [];

interface ServerOptions {
  serve: (socket: Socket) => void;
  scheme?: 'http' | 'https';
  stallMs?: number;
}

/** Serves every connection with `serve`, and points a store of two attempts at it. */
async function startServer({ serve, scheme = 'http', stallMs = STALL_MS }: ServerOptions) {
  retries.length = 0;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  store = new S3Store({
    settings: {
      bucket: 'backups',
      region: 'us-east-1',
      endpoint,
      forcePathStyle: true,
      direct: { url: `${endpoint}/backups`, region: 'us-east-1', service: 's3' },
      allowHttp: false,
      stallMs,
      maxSockets: 4,
      maxAttempts: 2,
    },
    credentials: async () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }),
    onRetry: (retry) => retries.push(retry),
  });
}

afterEach(() => {
  store.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server.close();
});

function sendPart(size: number) {
  const body = Buffer.alloc(size, 7);
  return store.sendPart('photos.tar', { uploadId: 'upload', number: 1, offset: 0, body, crc32: crc32(body) });
}

async function expectStall(request: Promise<unknown>): Promise<void> {
  const started = performance.now();
  await expect(request).rejects.toMatchObject({ code: 'store-unavailable', exit: 5 });
  expect(performance.now() - started).toBeLessThan(SOON_MS);
  expect(sockets.size).toBe(2);
  expect(retries).toEqual([{ call: expect.any(String), throttled: false, reason: `No byte moved for ${STALL_MS} ms` }]);
}

describe('a stalled request is given up and tried again', () => {
  it('when the server takes the body and never answers', async () => {
    await startServer({ serve: (socket) => socket.resume() });
    await expectStall(sendPart(1000));
  });

  it('when the server stops reading the body', async () => {
    await startServer({ serve: (socket) => socket.pause() });
    await expectStall(sendPart(32 * 1024 * 1024));
  });

  it('when the TLS handshake never comes to an end', async () => {
    await startServer({ serve: (socket) => socket.resume(), scheme: 'https' });
    await expectStall(sendPart(1000));
  });

  it('when the answer stops in its headers', async () => {
    await startServer({ serve: (socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nETag:')) });
    await expectStall(store.head('photos.tar'));
  });
});

it('a copy may take its time before the server says a word', async () => {
  const stallMs = 2 * STALL_MS;
  const answer = '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>';
  await startServer({
    stallMs,
    serve: (socket) =>
      socket.once('data', async () => {
        await sleep(2 * stallMs);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
      }),
  });
  const source = { etag: '"e"', versionId: undefined };
  const copy = { source, headers: { metadata: {} }, condition: { ifMatch: '"e"' } };
  expect(await store.copies.copyObject('photos.tar', copy)).toMatchObject({ etag: '"e"' });
  expect(retries).toEqual([]);
});

describe('the body of an answer', () => {
  const headers = (size: number) =>
    `HTTP/1.1 206 Partial Content\r\nContent-Length: ${size}\r\nContent-Range: bytes 0-${size - 1}/${size}\r\nETag: "e"\r\n\r\n`;

  it('that stalls midway rejects the loop', async () => {
    await startServer({ serve: (socket) => socket.once('data', () => socket.write(`${headers(1000)}half`)) });
    const stream = await store.read('photos.tar', { first: 0, last: 999 });
    const received: number[] = [];
    const loop = async () => {
      for await (const slice of slicesOf(stream)) received.push(slice.length);
    };
    await expect(loop()).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining(`4 of 1000 bytes came: No byte moved for ${STALL_MS} ms`),
    });
    expect(received).toEqual([4]);
  });

  it('that is cut off rejects the loop', async () => {
    await startServer({ serve: (socket) => socket.once('data', () => socket.end(`${headers(1000)}half`)) });
    const stream = await store.read('photos.tar', { first: 0, last: 999 });
    await expect(readWhole(stream)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('4 of 1000 bytes came'),
    });
  });

  it('may wait for a slow reader as long as it takes', async () => {
    const size = 8 * 1024 * 1024;
    await startServer({
      serve: (socket) =>
        socket.once('data', () => {
          socket.write(headers(size));
          socket.write(Buffer.alloc(size, 7));
        }),
    });
    let received = 0;
    for await (const slice of slicesOf(await store.read('photos.tar', { first: 0, last: size - 1 }))) {
      if (received === 0) await sleep(3 * STALL_MS);
      received += slice.length;
    }
    expect(received).toBe(size);
  });

  it('that stalls after a slow reader came back rejects the loop', async () => {
    const size = 8 * 1024 * 1024;
    await startServer({
      serve: (socket) =>
        socket.once('data', () => {
          socket.write(headers(size));
          socket.write(Buffer.alloc(size / 2, 7));
        }),
    });
    const loop = async () => {
      let first = true;
      for await (const _ of slicesOf(await store.read('photos.tar', { first: 0, last: size - 1 }))) {
        if (first) await sleep(3 * STALL_MS);
        first = false;
      }
    };
    await expect(loop()).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('No byte'),
    });
  });
});

describe('what moves is no stall', () => {
  it('an answer that drips, as S3 keeps Complete alive', async () => {
    const answer =
      '<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>';
    await startServer({
      stallMs: PATIENT_MS,
      serve: (socket) =>
        socket.once('data', async () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${8 + answer.length}\r\n\r\n`);
          for (let space = 0; space < 8; space++) {
            await sleep(PATIENT_MS / 5);
            socket.write(' ');
          }
          socket.write(answer);
        }),
    });
    const upload = { uploadId: 'upload', parts: [], size: 0, crc32: 0, condition: {} };
    expect(await store.completeUpload('photos.tar', upload)).toMatchObject({ etag: '"e-1"' });
    expect(retries).toEqual([]);
  });

  it('a body that is read slowly', async () => {
    const size = 16 * 1024 * 1024;
    await startServer({
      stallMs: PATIENT_MS,
      serve: (socket) => {
        let received = 0;
        socket.on('data', async (chunk) => {
          received += chunk.length;
          if (received >= size) socket.write('HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n');
          socket.pause();
          await sleep(5);
          socket.resume();
        });
      },
    });
    const started = performance.now();
    expect(await sendPart(size)).toEqual({ etag: '"e"' });
    expect(performance.now() - started).toBeGreaterThan(PATIENT_MS);
    expect(retries).toEqual([]);
  });
});

it('a connection that nobody uses is dropped in silence', async () => {
  await startServer({
    serve: (socket) =>
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n')),
  });
  await sendPart(10);
  await sleep(3 * STALL_MS);
  expect([...sockets].map((socket) => socket.destroyed)).toEqual([true]);
  expect(await sendPart(10)).toEqual({ etag: '"e"' });
  expect(retries).toEqual([]);
});

/** Our own client of HTTP/1.1, against servers that write their answers byte by byte as they like. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { createCertificate, type ServerCertificate } from '../../src/sandbox/tls.ts';
import type { Answer } from '../../src/stores/http1/connection.ts';
import { formatHead } from '../../src/stores/http1/head.ts';
import { ConnectionPool } from '../../src/stores/http1/pool.ts';
import { KiB } from '../../src/units.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const HEAD = formatHead({ method: 'GET', target: '/x', headers: { host: 'here' } });

let certificate: ServerCertificate;
beforeAll(async () => {
  certificate = await createCertificate();
});

const servers: Server[] = [];
const pools: ConnectionPool[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  for (const server of servers.splice(0)) server.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

/** A pool to a server that calls `serve` with each head of a request, and the number of its connection, from 1. */
async function startServer(
  serve: (socket: Socket, connection: number) => void,
  options: { maxCount?: number; stallMs?: number } = {},
) {
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = sockets.add(socket).size;
    socket.on('error', () => {}).on('data', (bytes) => bytes.includes('\r\n\r\n') && serve(socket, connection));
  });
  return { pool: await poolTo(server, options), seen: sockets };
}

async function poolTo(
  server: Server,
  { maxCount = 4, stallMs = 10_000, tls }: { maxCount?: number; stallMs?: number; tls?: object } = {},
) {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = tls === undefined ? undefined : { minVersion: 'TLSv1.2' as const, ...tls };
  const pool = new ConnectionPool({ host: '127.0.0.1', port, tls: options, stallMs }, { maxCount });
  pools.push(pool);
  return pool;
}

/** All of an answer's body, read into buffers of this size. */
async function read({ body }: Answer, size = 1000): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (;;) {
    const bytes = Buffer.alloc(size);
    const count = await body.readInto(bytes);
    if (count === 0) return Buffer.concat(pieces);
    pieces.push(bytes.subarray(0, count));
  }
}

async function ask(pool: ConnectionPool, { size = 1000 } = {}) {
  const answer = await pool.exchange({ head: HEAD });
  return { status: answer.status, headers: answer.headers, body: await read(answer, size) };
}

/** A body of these pieces, as answers may carry it. */
function framed(framing: 'sized' | 'chunked', pieces: Uint8Array[]): Buffer {
  const body = Buffer.concat(pieces);
  if (framing === 'sized') return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
  const chunks = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)};a=b\r\n`),
    piece,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([
    Buffer.from('Transfer-Encoding: chunked\r\n\r\n'),
    ...chunks,
    Buffer.from('0\r\nTrailer: t\r\n\r\n'),
  ]);
}

test('an answer is the same however it is cut on its way and read', async () => {
  let answer: Buffer[] = [];
  const { pool, seen } = await startServer(async (socket) => {
    for (const piece of answer) {
      socket.write(piece);
      await setImmediate();
    }
  });
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('sized' as const, 'chunked' as const),
      bodies,
      fc.nat(2),
      fc.array(fc.nat(1000), { maxLength: 8 }),
      fc.integer({ min: 1, max: 400 }),
      async (framing, pieces, interimCount, cuts, size) => {
        const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n'.repeat(interimCount);
        const head = Buffer.from(`${interim}HTTP/1.1 206 Partial\r\nX-A:  one \r\nx-a: t\xe9o\r\n`, 'latin1');
        const whole = Buffer.concat([head, framed(framing, pieces)]);
        const places = [0, ...cuts.map((cut) => cut % whole.length).sort((a, b) => a - b), whole.length];
        answer = places.slice(1).map((place, index) => whole.subarray(places[index], place));
        const { status, headers, body } = await ask(pool, { size });
        expect([status, headers['x-a']]).toEqual([206, 'one, t\xe9o']);
        expect(body.equals(Buffer.concat(pieces))).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
  expect(seen.size).toBe(1);
});

describe('an answer that is not as it should be is refused, and asked for again on a new connection', () => {
  const head = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  it.each<[string, string]>([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['no status', 'HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\nok'],
    ['a folded line', head('Content-Length: 2', 'X-A: one', ' two')],
    ['a space before the colon', head('Content-Length : 2')],
    ['no colon', head('Content-Length 2')],
    ['no name', head(': 2')],
    ['a line feed of its own', head('X-A: one\nContent-Length: 2')],
    ['a carriage return of its own', head('X-A: one\rContent-Length: 2')],
    ['a NUL', head('X-A: one\0', 'Content-Length: 2')],
    ['two sizes', head('Content-Length: 2', 'Content-Length: 3')],
    ['one size twice', head('Content-Length: 2', 'Content-Length: 2')],
    ['a list of sizes', head('Content-Length: 2, 2')],
    ['a size and chunks', head('Content-Length: 2', 'Transfer-Encoding: chunked')],
    ['a negative size', head('Content-Length: -2')],
    ['a signed size', head('Content-Length: +2')],
    ['a hexadecimal size', head('Content-Length: 0x2')],
    ['a size beyond all numbers', head(`Content-Length: ${'9'.repeat(20)}`)],
    ['an unknown coding', head('Transfer-Encoding: gzip, chunked')],
    ['a chunk without a size', `${head('Transfer-Encoding: chunked')}\r\nok\r\n0\r\n\r\n`],
    ['a chunk of a negative size', `${head('Transfer-Encoding: chunked')}-2\r\nok\r\n0\r\n\r\n`],
    ['a chunk that is larger than it says', `${head('Transfer-Encoding: chunked')}1\r\nok\r\n0\r\n\r\n`],
    ['a chunk of a size beyond all numbers', `${head('Transfer-Encoding: chunked')}1000000000\r\nok\r\n0\r\n\r\n`],
    ['a head without an end', `HTTP/1.1 200 OK\r\n${'X-A: one\r\n'.repeat(10_000)}`],
    ['heads without an end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)],
    ['trailers without an end', `${head('Transfer-Encoding: chunked')}0\r\n${'X-A: one\r\n'.repeat(10_000)}`],
  ])('%s', async (_, words) => {
    const { pool } = await startServer((socket, connection) => socket.write(connection === 1 ? words : OK, 'latin1'));
    await expect(ask(pool)).rejects.toMatchObject({ code: 'EPROTO', $retryable: {} });
    expect((await ask(pool)).body.toString()).toBe('ok');
  });
});

test.each([
  ['sized', framed('sized', [Buffer.from('four')])],
  ['chunked', framed('chunked', [Buffer.from('fo'), Buffer.from('ur')])],
])('a %s answer that breaks off anywhere is none', async (_, framedBody) => {
  const whole = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), framedBody]);
  let size = 0;
  const { pool } = await startServer((socket) => socket.end(whole.subarray(0, size)));
  for (; size < whole.length; size++) await expect(ask(pool)).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect((await ask(pool)).body.toString()).toBe('four');
});

test('a body that ends with its connection ends there, unless that is broken', async () => {
  const { pool } = await startServer((socket, connection) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nall', () => connection === 1 && socket.end());
  });
  expect((await ask(pool)).body.toString()).toBe('all');
  const { body } = await pool.exchange({ head: HEAD });
  const bytes = Buffer.alloc(100);
  const reading = body.readInto(bytes);
  while (!bytes.includes('all')) await setImmediate();
  for (const socket of sockets) socket.resetAndDestroy();
  expect(await reading).toBe(3);
  await expect(body.readInto(bytes)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test.each([
  ['says that it closes', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
  ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['sends more than it was asked', `${OK}HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n`],
])('a connection whose server %s is not used again', async (_, words) => {
  const { pool, seen } = await startServer((socket) => socket.write(words));
  for (let count = 1; count <= 3; count++) {
    expect((await ask(pool)).body.toString()).toBe('ok');
    expect(seen.size).toBe(count);
  }
});

test('a connection that was closed while it rested is not used again', async () => {
  const { pool, seen } = await startServer((socket) => socket.write(OK));
  await ask(pool);
  await ask(pool);
  expect(seen.size).toBe(1);
  const [socket] = seen;
  const closed = once(socket!, 'close');
  socket!.end();
  await closed;
  expect((await ask(pool)).body.toString()).toBe('ok');
  expect(seen.size).toBe(2);
});

test('requests beyond the most connections wait in a row, and leave it with their signal', async () => {
  const waiting: Socket[] = [];
  const { pool, seen } = await startServer((socket) => waiting.push(socket), { maxCount: 1 });
  const stop = new AbortController();
  const order: string[] = [];
  const asked = ['a', 'b', 'c'].map(async (name) => {
    const answer = await pool.exchange({ head: HEAD, ...(name === 'b' ? { signal: stop.signal } : {}) });
    order.push(name);
    return read(answer);
  });
  const given = expect(asked[1]).rejects.toMatchObject({ name: 'AbortError' });
  stop.abort();
  await given;
  for (let count = 0; count < 2; count++) {
    while (waiting.length === 0) await setImmediate();
    waiting.pop()!.write(OK);
    await asked[2 * count];
  }
  expect(order).toEqual(['a', 'c']);
  expect(seen.size).toBe(1);
});

test.each([
  ['is longer than anybody needs to be told', framed('chunked', [Buffer.alloc(300 * KiB, 'a')])],
  ['breaks its own framing', Buffer.from('Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n')],
])('an answer of words that %s holds its connection no longer', async (_, rest) => {
  const refusal = Buffer.concat([Buffer.from('HTTP/1.1 502 Bad Gateway\r\n'), rest]);
  const { pool, seen } = await startServer((socket, connection) => socket.write(connection === 1 ? refusal : OK), {
    maxCount: 1,
  });
  const { body } = await pool.exchange({ head: HEAD });
  await body.text().catch(() => '');
  expect((await ask(pool)).body.toString()).toBe('ok');
  expect(seen.size).toBe(2);
});

test('a server that is silent is given up also where a body took its time to end', async () => {
  const { pool } = await startServer(() => {}, { stallMs: 20 });
  async function* body() {
    yield Buffer.from('all of it');
    await setTimeout(100);
  }
  await expect(pool.exchange({ head: HEAD, body: body() })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
});

test('nothing is sent to a server that has not proven itself', async () => {
  const { ca, cert, key } = certificate;
  const got: Buffer[] = [];
  const serve = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('data', (bytes) => got.push(bytes) && socket.write(OK));
  };
  const untrusted = await poolTo(createTlsServer({ cert, key }, serve), { tls: {} });
  await expect(untrusted.exchange({ head: HEAD, body: [Buffer.from('body')] })).rejects.toMatchObject({
    code: expect.stringMatching(/CERT|LEAF_SIGNATURE/),
  });
  expect(got).toEqual([]);
  const trusted = await poolTo(createTlsServer({ cert, key }, serve), {
    tls: { secureContext: createSecureContext({ ca }) },
  });
  expect((await trusted.exchange({ head: HEAD, body: [Buffer.from('body')] })).words).toBe('ok');
  expect(Buffer.concat(got).toString()).toBe(`${HEAD}body`);
});

test('a further connection goes on with the session of the one before', async () => {
  const { ca, cert, key } = certificate;
  const reused: boolean[] = [];
  const server = createTlsServer({ cert, key }, (socket) => {
    reused.push(socket.isSessionReused());
    sockets.add(socket.on('error', () => {}).on('data', () => socket.end(OK.replace('OK', 'OK\r\nConnection: close'))));
  });
  const pool = await poolTo(server, { tls: { secureContext: createSecureContext({ ca }) } });
  for (let count = 0; count < 2; count++) expect((await ask(pool)).body.toString()).toBe('ok');
  expect(reused).toEqual([false, true]);
});

test.each(['a\r\nb', 'a\nb', 'a\0', 'a\u{1f600}'])('a header cannot break out of its line: %j', (value) => {
  expect(() => formatHead({ method: 'GET', target: '/', headers: { 'x-a': value } })).toThrow(/Invalid character/);
  expect(() => formatHead({ method: 'GET', target: '/', headers: { [value]: 'a' } })).toThrow(/valid HTTP token/);
  expect(() => formatHead({ method: 'GET', target: `/${value}`, headers: {} })).toThrow(/target/);
});

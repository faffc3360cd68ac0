/**
 * Once a call has ended the caller's buffer is the caller's: it may hold plain bytes a moment later, and not one of them
 * may follow on the old connection, be it that the server answered before it had read the body, or that we gave up.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCertificate, type ServerCertificate } from '../../src/sandbox/tls.ts';
import { S3Store } from '../../src/stores/s3.ts';

const SEALED = 7;
const PLAIN = 0xff;
const SIZE = 16 * 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'sealift-buffer-'));
const caBundle = join(folder, 'ca.pem');
let certificate: ServerCertificate;

beforeAll(async () => {
  certificate = await createCertificate();
  writeFileSync(caBundle, certificate.ca);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** At the first bytes of a request gives `answer` or calls `stop`; reads on only after a while, and keeps what came then. */
function startServer({ https, answer, stop }: { https: boolean; answer: string | undefined; stop: () => void }) {
  const seen = { plain: 0, body: 0, closed: 0 };
  const serve = (socket: Socket) => {
    socket.on('error', () => {});
    socket.on('close', () => seen.closed++);
    socket.once('data', async () => {
      socket.pause();
      if (answer) socket.write(answer);
      else stop();
      await sleep(200);
      socket.on('data', (chunk) => {
        seen.body += chunk.length;
        seen.plain += chunk.filter((byte) => byte === PLAIN).length;
      });
      socket.resume();
    });
  };
  const server: Server = https ? createTlsServer(certificate, serve) : createServer(serve);
  return { server, seen };
}

describe.each([
  ['HTTP', false, true],
  ['HTTPS', true, true],
  ['HTTPS, through the SDK', true, false],
])('over %s', (_, https, direct) => {
  it.each([
    ['an error', '403 Forbidden', '<Error><Code>AccessDenied</Code><Message>no</Message></Error>'],
    ['success', '200 OK', ''],
    ['nothing, and the caller’s signal', undefined, ''],
  ])('nothing of the buffer is sent after %s', async (_, status, body) => {
    const answer = status && `HTTP/1.1 ${status}\r\nETag: "e"\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const stop = new AbortController();
    const { server, seen } = startServer({ https, answer, stop: () => stop.abort() });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `${https ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = new S3Store({
      settings: {
        bucket: 'backups',
        region: 'us-east-1',
        endpoint,
        direct: direct ? { url: `${endpoint}/backups`, region: 'us-east-1', service: 's3' } : undefined,
        forcePathStyle: true,
        allowHttp: false,
        caBundle,
        stallMs: 5000,
        maxSockets: 4,
        maxAttempts: 1,
      },
      credentials: async () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }),
    });
    const buffer = Buffer.alloc(SIZE, SEALED);
    const part = { uploadId: 'upload', number: 1, offset: 0, body: buffer, crc32: 0 };
    const sent = store.sendPart('photos.tar', part, { signal: stop.signal });
    await sent.catch(() => {});
    buffer.fill(PLAIN);
    await vi.waitFor(() => expect(seen.closed).toBe(1), 3000);
    expect(seen.plain).toBe(0);
    expect(seen.body).toBeLessThan(SIZE);
    store.close();
    server.close();
  });
});

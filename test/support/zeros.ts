/**
 * Sealed objects larger than any disk: `zeros/SIZE` holds so many plain zeros, and whatever range of it is asked for is
 * sealed while it is sent. One message, one key: a byte of it is the same whenever it is read.
 */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeHeader, headerBytes } from '../../src/formats/esdk/header.ts';
import { deriveMessageKeys, type MessageKeys } from '../../src/formats/esdk/keys.ts';
import { FINAL_OVERHEAD, FRAME_OVERHEAD, frameRange, type Layout } from '../../src/formats/esdk/layout.ts';
import { boundMessageId, NAME_MARKER } from '../../src/formats/esdk/message-id.ts';
import { DEFAULT_FRAME_SIZE, planLayout } from '../../src/formats/esdk/plan.ts';
import { PartSealer } from '../../src/formats/esdk/seal-frames.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { createCertificate } from '../../src/sandbox/tls.ts';

export interface ZerosServer extends AsyncDisposable {
  url: string;
  /** PEM of the authority to trust. */
  ca: string;
}

/** Serves HEAD and GET of `BUCKET/zeros/SIZE` over HTTPS, whoever asks. */
export async function serveZeros(keyring: Keyring): Promise<ZerosServer> {
  const { ca, cert, key } = await createCertificate();
  const messages = new Map<string, Promise<ZerosMessage>>();
  const server = createServer({ cert, key }, async (request, response) => {
    const objectKey = decodeURIComponent(new URL(request.url!, 'https://host').pathname).split('/').slice(2).join('/');
    const message = await (messages.get(objectKey) ??
      remember(messages, objectKey, ZerosMessage.make(keyring, objectKey)));
    const { sealedSize } = message.layout;
    const [, first = '0', last = String(sealedSize - 1)] =
      /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const range = { first: Number(first), last: Math.min(Number(last), sealedSize - 1) };
    response.writeHead(request.headers.range ? 206 : 200, {
      ETag: '"zeros"',
      'Last-Modified': new Date(0).toUTCString(),
      'Content-Length': range.last - range.first + 1,
      'Content-Range': `bytes ${range.first}-${range.last}/${sealedSize}`,
    });
    if (request.method === 'HEAD') response.end();
    // Whoever asked may go away before the end.
    else await pipeline(Readable.from(message.read(range), { objectMode: false }), response).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, ca, [Symbol.asyncDispose]: () => stop(server) };
}

function remember<T>(map: Map<string, T>, key: string, value: T): T {
  map.set(key, value);
  return value;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const ZEROS = Buffer.alloc(DEFAULT_FRAME_SIZE);

class ZerosMessage {
  readonly layout: Layout;
  readonly #header: Buffer;
  readonly #messageId: Buffer;
  readonly #keys: MessageKeys;

  private constructor(header: Buffer, messageId: Buffer, keys: MessageKeys, plainSize: number) {
    this.layout = planLayout({ plainSize, frameSize: DEFAULT_FRAME_SIZE, headerSize: header.length });
    this.#header = header;
    this.#messageId = messageId;
    this.#keys = keys;
  }

  static async make(keyring: Keyring, objectKey: string): Promise<ZerosMessage> {
    const [name, value] = NAME_MARKER;
    const encryptionContext = { [name]: value };
    using materials = await keyring.makeDataKey({ encryptionContext });
    const messageId = boundMessageId({ random: Buffer.alloc(16, 1), objectKey });
    const keys = deriveMessageKeys({ dataKey: materials.dataKey.bytes, messageId });
    const { encryptedDataKeys } = materials;
    const frameSize = DEFAULT_FRAME_SIZE;
    const header = headerBytes(encodeHeader({ messageId, encryptionContext, encryptedDataKeys, frameSize, keys }));
    return new ZerosMessage(header, messageId, keys, Number(objectKey.split('/').at(-1)));
  }

  /** Sealed bytes, both ends inclusive, frame by frame. */
  async *read({ first, last }: { first: number; last: number }): AsyncGenerator<Buffer> {
    const { layout } = this;
    if (first < layout.headerSize) yield this.#header.subarray(first, last + 1);
    const full = layout.frameSize + FRAME_OVERHEAD;
    const frameOf = (offset: number) => Math.max(1, Math.floor((offset - layout.headerSize) / full) + 1);
    for (let number = frameOf(first); number <= Math.min(frameOf(last), layout.frameCount); number++) {
      const frames = frameRange(layout, { firstFrame: number, lastFrame: number });
      const start = Math.max(0, first - frames.sealedOffset);
      const end = Math.min(frames.sealedSize, last + 1 - frames.sealedOffset);
      if (end > start) yield this.#seal(frames).subarray(start, end);
    }
  }

  #seal(frames: ReturnType<typeof frameRange>): Buffer {
    // Not shared with the next frame: the socket keeps it for as long as it likes.
    const sealed = Buffer.allocUnsafeSlow(DEFAULT_FRAME_SIZE + FRAME_OVERHEAD + FINAL_OVERHEAD);
    const { layout } = this;
    const sealer = new PartSealer({ keys: this.#keys, messageId: this.#messageId, layout, frames, sealed, offset: 0 });
    sealer.push(ZEROS.subarray(0, frames.plainSize));
    sealer.finish();
    return sealed;
  }
}

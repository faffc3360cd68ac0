/** Sends an answer, whole or as a stream, past whatever a fault does to it. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Exchange } from './exchange.ts';
import { disturbAnswer } from './mischief.ts';
import type { Answer } from './s3/call.ts';

export async function send(exchange: Exchange, answer: Answer): Promise<void> {
  const { id, request, response, record, fault } = exchange;
  const { status = 200, body = '' } = answer;
  const headers: Record<string, string | number> = {
    'x-amz-request-id': id,
    'x-amz-id-2': 'sandbox',
    server: 'AmazonS3',
  };
  if (typeof body === 'string') {
    headers['content-length'] = Buffer.byteLength(body);
    if (body !== '') headers['content-type'] = 'application/xml';
  }
  for (const [name, value] of Object.entries(answer.headers ?? {})) if (value !== undefined) headers[name] = value;
  response.writeHead(status, headers);
  if (request.method === 'HEAD' || status === 204 || status === 304) {
    response.end();
    return;
  }
  let stream = typeof body === 'string' ? undefined : body;
  if (fault !== undefined) stream ??= Readable.from([Buffer.from(body as string)], { objectMode: false });
  if (stream === undefined) {
    record.bytesOut = Buffer.byteLength(body as string);
    response.end(body);
    return;
  }
  stream = disturbAnswer(stream, exchange);
  stream.on('data', (chunk: Buffer) => {
    record.bytesOut += chunk.length;
  });
  await pipeline(stream, response);
}

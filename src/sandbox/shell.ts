/**
 * One HTTP exchange, from the head of the request to its record in the log, for S3 and KMS alike: find the operation,
 * check the signature, let a fault strike, run the operation, answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { KiB } from '../units.ts';
import { Body } from './body.ts';
import type { Fault, FaultCall, Faults } from './faults.ts';
import type { SandboxKms } from './kms.ts';
import type { RequestRecord } from './log.ts';
import { cut, cutAfter, flipByte, slowDown } from './mischief.ts';
import { locate } from './request.ts';
import type { Answer, S3 } from './s3/call.ts';
import { createDigest } from './s3/checksums.ts';
import { S3Error } from './s3/errors.ts';
import { findRoute, runOperation } from './s3/routes.ts';
import { type Credentials, type Payload, Verifier } from './sigv4.ts';

const KMS_TARGET = 'TrentService.';
/** KMS takes at most 4 KiB of plaintext and 8 KiB of context; this leaves room for base64 and names. */
const KMS_BODY_LIMIT = 256 * KiB;

export interface ShellOptions {
  readonly s3: S3;
  readonly kms: SandboxKms;
  readonly credentials: Credentials;
  readonly secure: boolean;
  readonly onRequest: (record: RequestRecord) => void;
}

/** Thrown once the connection is gone: nobody waits for an answer. */
class ConnectionLost extends Error {}

/** One request, its response, and what is known of them so far. */
interface Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  fault: Fault | undefined;
  body: Body | undefined;
}

export class Shell {
  faults: Faults;
  readonly #options: ShellOptions;
  readonly #verifiers: { s3: Verifier; kms: Verifier };
  #count = 0;

  constructor(faults: Faults, options: ShellOptions) {
    this.faults = faults;
    this.#options = options;
    const { credentials, s3 } = options;
    this.#verifiers = {
      s3: new Verifier({ credentials, region: s3.region, service: 's3' }),
      kms: new Verifier({ credentials, region: s3.region, service: 'kms' }),
    };
  }

  /** Answers one request. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#count += 1;
    const exchange: Exchange = {
      id: `SANDBOX${String(this.#count).padStart(9, '0')}`,
      request,
      response,
      record: newRecord(request),
      fault: undefined,
      body: undefined,
    };
    response.once('close', () => this.#end(exchange));
    // A client that goes away in the middle of an answer is no error of ours.
    response.on('error', () => {});
    try {
      if (exchange.record.service === 'kms') await this.#answerKms(exchange);
      else await this.#answerS3(exchange);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) response.destroy();
    }
  }

  #end({ record, response, body, fault }: Exchange): void {
    record.ms = now() - record.time;
    record.status = response.headersSent ? response.statusCode : 0;
    record.fault = fault?.kind ?? null;
    record.bytesIn = body?.received ?? 0;
    record.firstByteTime = body?.firstByteTime ?? null;
    this.#options.onRequest(record);
  }

  // S3.

  async #answerS3(exchange: Exchange): Promise<void> {
    const { record } = exchange;
    let answer: Answer;
    try {
      answer = await this.#runS3(exchange);
    } catch (thrown) {
      if (thrown instanceof ConnectionLost) throw thrown;
      const error = S3Error.from(thrown);
      record.errorCode = error.code;
      answer = { status: error.status, headers: error.headers, body: error.toXml(exchange.id) };
    }
    await send(exchange, answer);
  }

  async #runS3(exchange: Exchange): Promise<Answer> {
    const { request, response, record } = exchange;
    const { path, query, bucket, key, origin } = locate(request, { secure: this.#options.secure });
    const method = request.method ?? '';
    const destination = findRoute({ method, bucket, key, query, headers: request.headers });
    const { operation } = destination;
    const partNumber = query.get('partNumber');
    Object.assign(record, { operation, bucket: bucket || null, key: key || null, uploadId: query.get('uploadId') });
    if (partNumber !== null) record.partNumber = Number(partNumber);

    const payload = this.#verifiers.s3.verify({ method, path, query, headers: request.headers });
    const fault = this.#strike(exchange);
    exchange.body = newBody(exchange, payload);
    await endure(exchange);
    if (fault?.kind === 'error-in-200') {
      // API_CompleteMultipartUpload.html: "a 200 OK response can contain either a success or an error".
      const error = new S3Error('InternalError');
      record.errorCode = error.code;
      return { body: error.toXml(exchange.id) };
    }
    const { s3, secure } = this.#options;
    const { headers } = request;
    const call = { operation, bucket, key, query, headers, secure, origin, body: exchange.body };
    const answer = await runOperation(destination, call, s3);
    if (fault?.kind === 'lose-answer') loseAnswer(response);
    return answer;
  }

  // KMS.

  async #answerKms(exchange: Exchange): Promise<void> {
    let answer: { status: number; body: object };
    try {
      answer = await this.#runKms(exchange);
    } catch (thrown) {
      if (thrown instanceof ConnectionLost) throw thrown;
      const { status, code, message } = S3Error.from(thrown);
      answer = { status, body: { __type: code, message } };
    }
    const error = '__type' in answer.body ? String(answer.body.__type) : null;
    exchange.record.errorCode = error;
    await send(exchange, {
      status: answer.status,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-requestid': exchange.id,
        'x-amzn-errortype': error ?? undefined,
      },
      body: JSON.stringify(answer.body),
    });
  }

  async #runKms(exchange: Exchange): Promise<{ status: number; body: object }> {
    const { request, response, record } = exchange;
    const { path, query } = locate(request, { secure: this.#options.secure });
    record.operation = String(request.headers['x-amz-target']).slice(KMS_TARGET.length);
    exchange.body = newBody(exchange, { kind: 'unsigned' });
    const sha256 = createDigest('SHA256');
    const { text } = await exchange.body.text(KMS_BODY_LIMIT, [sha256]);
    try {
      const signed = { method: request.method ?? '', path, query, headers: request.headers };
      this.#verifiers.kms.verify(signed, { bodySha256: sha256.finish().toString('hex') });
    } catch (error) {
      return kmsSignatureError(S3Error.from(error));
    }
    const fault = this.#strike(exchange);
    await endure(exchange);
    const answer = this.#options.kms.handle(record.operation, JSON.parse(text || '{}'));
    if (fault?.kind === 'lose-answer') loseAnswer(response);
    return answer;
  }

  #strike(exchange: Exchange): Fault | undefined {
    const { service, operation, bucket, key, partNumber } = exchange.record;
    const call: FaultCall = { service, operation };
    if (bucket !== null) call.bucket = bucket;
    if (key !== null) call.key = key;
    if (partNumber !== null) call.partNumber = partNumber;
    exchange.fault = this.faults.match(call);
    return exchange.fault;
  }
}

function newRecord(request: IncomingMessage): RequestRecord {
  const isKms = String(request.headers['x-amz-target'] ?? '').startsWith(KMS_TARGET);
  return {
    time: now(),
    firstByteTime: null,
    service: isKms ? 'kms' : 's3',
    operation: request.method ?? '',
    bucket: null,
    key: null,
    partNumber: null,
    uploadId: null,
    bytesIn: 0,
    bytesOut: 0,
    status: 0,
    errorCode: null,
    fault: null,
    ms: 0,
  };
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** KMS has names of its own for what is wrong with a signature (KMS API Reference, "Common Errors"). */
function kmsSignatureError({ code, message }: S3Error): { status: number; body: object } {
  const names: Record<string, string> = {
    AccessDenied: 'MissingAuthenticationTokenException',
    AuthorizationHeaderMalformed: 'InvalidSignatureException',
    InvalidAccessKeyId: 'UnrecognizedClientException',
    RequestTimeTooSkewed: 'InvalidSignatureException',
    SignatureDoesNotMatch: 'InvalidSignatureException',
  };
  return { status: 400, body: { __type: names[code] ?? 'IncompleteSignatureException', message } };
}

// Faults.

function newBody(exchange: Exchange, payload: Payload): Body {
  return new Body(exchange, {
    payload,
    disturb: (source) => disturb(source, exchange),
    disturbStored(sink: Writable) {
      if (exchange.fault?.kind !== 'corrupt') return sink;
      const flip = flipByte(exchange.fault.offset ?? 0);
      flip.pipe(sink);
      return flip;
    },
  });
}

/** What a fault does to bytes on their way in or out. */
function disturb(source: Readable, { fault, request }: Exchange): Readable {
  if (fault?.kind === 'slow') return source.pipe(slowDown(fault.bytesPerSecond));
  if (fault?.kind === 'reset') return source.pipe(cutAfter(fault.afterBytes, request.socket));
  return source;
}

/** What a fault does before the operation begins. Throws the error it orders, or ConnectionLost. */
async function endure({ fault, response, request }: Exchange): Promise<void> {
  if (fault?.kind === 'status') throw S3Error.ordered(fault.status, fault.code);
  if (fault?.kind === 'reset' && fault.afterBytes === 0) {
    cut(request.socket);
    throw new ConnectionLost();
  }
  if (fault?.kind === 'stall') {
    const gone = new Promise<void>((resolve) => response.once('close', resolve));
    await (fault.ms === undefined ? gone : Promise.race([gone, delay(fault.ms)]));
    if (response.destroyed) throw new ConnectionLost();
  }
}

function loseAnswer(response: ServerResponse): never {
  if (response.socket) cut(response.socket);
  throw new ConnectionLost();
}

// Answers.

async function send(exchange: Exchange, answer: Answer): Promise<void> {
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
  // A client that still waits for `100 Continue` may send its body or not: nobody can tell what follows.
  if (request.headers.expect !== undefined && !exchange.body?.taken) headers.connection = 'close';
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
  if (fault?.kind === 'corrupt') stream = stream.pipe(flipByte(fault.offset ?? 0));
  stream = disturb(stream, exchange);
  stream.on('data', (chunk: Buffer) => {
    record.bytesOut += chunk.length;
  });
  await pipeline(stream, response);
}

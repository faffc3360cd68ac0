/**
 * One HTTP exchange, from the head of the request to its record in the log, for S3, KMS and Service Quotas alike: find the
 * operation, check the signature, let a fault strike, run the operation, answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { KiB } from '../units.ts';
import { send } from './answer.ts';
import { ConnectionLost, type Exchange, newExchange, now, TARGETS } from './exchange.ts';
import type { Fault, FaultCall, Faults } from './faults.ts';
import type { SandboxKms } from './kms.ts';
import type { RequestRecord, ServiceName } from './log.ts';
import { endure, loseAnswer, newBody } from './mischief.ts';
import { locate } from './request.ts';
import type { Answer, Call, S3 } from './s3/call.ts';
import { createDigest } from './s3/checksums.ts';
import { S3Error } from './s3/errors.ts';
import { findRoute, runOperation } from './s3/routes.ts';
import type { SandboxQuotas } from './service-quotas.ts';
import { type Credentials, Verifier } from './sigv4.ts';

/** KMS takes at most 4 KiB of plaintext and 8 KiB of context; this leaves room for base64 and names. */
const JSON_BODY_LIMIT = 256 * KiB;

type JsonService = Exclude<ServiceName, 's3'>;

export interface ShellOptions {
  readonly s3: S3;
  readonly kms: SandboxKms;
  readonly quotas: SandboxQuotas;
  readonly credentials: Credentials;
  readonly secure: boolean;
  readonly onRequest: (record: RequestRecord) => void;
  readonly onFault?: ((call: FaultCall) => void | Promise<void>) | undefined;
}

export class Shell {
  faults: Faults;
  readonly #options: ShellOptions;
  readonly #verifiers: Readonly<Record<ServiceName, Verifier>>;
  readonly #open = new Set<Promise<unknown>>();
  #count = 0;

  constructor(faults: Faults, options: ShellOptions) {
    this.faults = faults;
    this.#options = options;
    const { credentials, s3 } = options;
    const verifierOf = (service: ServiceName) => new Verifier({ credentials, region: s3.region, service });
    this.#verifiers = { s3: verifierOf('s3'), kms: verifierOf('kms'), servicequotas: verifierOf('servicequotas') };
  }

  /** Answers one request. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#count += 1;
    const exchange = newExchange(request, response, this.#count);
    // A client that goes away in the middle of an answer is no error of ours.
    response.on('error', () => {});
    const ended = new Promise<void>((done) => {
      response.once('close', () => {
        this.#end(exchange);
        done();
      });
    });
    const both = Promise.all([ended, this.#answer(exchange)]);
    this.#open.add(both);
    void both.then(() => this.#open.delete(both));
  }

  /** Resolves once every request there is has ended, is recorded, and uses nothing any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#open);
  }

  async #answer(exchange: Exchange): Promise<void> {
    try {
      const { service } = exchange.record;
      if (service === 's3') await this.#answerS3(exchange);
      else await this.#answerJson(exchange, service);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) exchange.response.destroy();
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
      // A body that broke off failed the operation; nobody is there to hear of it.
      if (exchange.request.socket.destroyed) throw new ConnectionLost();
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
    const fault = await this.#strike(exchange);
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
    const tlsVersion = tlsVersionOf(request.socket);
    const { body } = exchange;
    const call: Call = { operation, bucket, key, query, headers, secure, tlsVersion, origin, body, kmsCalls: 0 };
    const answer = await runOperation(destination, call, s3).finally(() => {
      record.kmsCalls = call.kmsCalls;
    });
    if (fault?.kind === 'lose-answer') loseAnswer(response);
    return answer;
  }

  // KMS and Service Quotas.

  async #answerJson(exchange: Exchange, service: JsonService): Promise<void> {
    let answer: { status: number; body: object };
    try {
      answer = await this.#runJson(exchange, service);
    } catch (thrown) {
      if (exchange.request.socket.destroyed) throw new ConnectionLost();
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

  async #runJson(exchange: Exchange, service: JsonService): Promise<{ status: number; body: object }> {
    const { request, response, record } = exchange;
    const { path, query } = locate(request, { secure: this.#options.secure });
    record.operation = String(request.headers['x-amz-target']).slice(TARGETS[service].length);
    exchange.body = newBody(exchange, { kind: 'unsigned' });
    const sha256 = createDigest('SHA256');
    const { text } = await exchange.body.text(JSON_BODY_LIMIT, [sha256]);
    try {
      const signed = { method: request.method ?? '', path, query, headers: request.headers };
      this.#verifiers[service].verify(signed, { bodySha256: sha256.finish().toString('hex') });
    } catch (error) {
      return signatureError(S3Error.from(error));
    }
    const fault = await this.#strike(exchange);
    await endure(exchange);
    const { kms, quotas } = this.#options;
    const answer = (service === 'kms' ? kms : quotas).handle(record.operation, parseJson(text));
    if (fault?.kind === 'lose-answer') loseAnswer(response);
    return answer;
  }

  async #strike(exchange: Exchange): Promise<Fault | undefined> {
    const { service, operation, bucket, key, partNumber } = exchange.record;
    const call: FaultCall = { service, operation };
    if (bucket !== null) call.bucket = bucket;
    if (key !== null) call.key = key;
    if (partNumber !== null) call.partNumber = partNumber;
    exchange.fault = this.faults.match(call);
    if (exchange.fault) await this.#options.onFault?.(call);
    return exchange.fault;
  }
}

/** `1.3` for what Node calls TLSv1.3. */
function tlsVersionOf(socket: Socket): string | undefined {
  return socket instanceof TLSSocket ? socket.getProtocol()?.slice('TLSv'.length) : undefined;
}

/** Undefined for what is not JSON; the answer to that is the service's own business. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** These services have names of their own for what is wrong with a signature (KMS API Reference, "Common Errors"). */
function signatureError({ code, message }: S3Error): { status: number; body: object } {
  const names: Record<string, string> = {
    AccessDenied: 'MissingAuthenticationTokenException',
    AuthorizationHeaderMalformed: 'InvalidSignatureException',
    InvalidAccessKeyId: 'UnrecognizedClientException',
    RequestTimeTooSkewed: 'InvalidSignatureException',
    SignatureDoesNotMatch: 'InvalidSignatureException',
  };
  return { status: 400, body: { __type: names[code] ?? 'IncompleteSignatureException', message } };
}

/**
 * Every error S3 and the network can give, and what becomes of it. A small HTTP server gives the answers as the S3 API
 * Reference words them: the sandbox cannot be made to give them all.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import type { Retry } from '../../src/network.ts';
import type { S3Settings } from '../../src/stores/aws-settings.ts';
import { retry } from '../../src/stores/retries.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { credentialsError, s3Error } from '../../src/stores/s3-errors.ts';
import { collect } from './contract.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let settings: S3Settings;
let store: S3Store;
let answer: Answer;
const calls: string[] = [];
const retries: Retry[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  settings = {
    bucket: 'backups',
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    direct: { url: `${endpoint}/backups`, region: 'us-east-1', service: 's3' },
    allowHttp: false,
    stallMs: 5000,
    maxSockets: 4,
    maxAttempts: 3,
  };
  store = makeStore();
});

beforeEach(() => {
  calls.length = 0;
  retries.length = 0;
});

afterAll(() => {
  store.close();
  server.close();
});

function makeStore(changes: Partial<S3Settings> = {}): S3Store {
  return new S3Store({
    settings: { ...settings, ...changes },
    credentials: async () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }),
    onRetry: (retry) => retries.push(retry),
  });
}

/** An error as S3 writes it. */
function s3Says(
  status: number,
  code: string,
  { headers = {}, message = 'Words of S3', more = '' }: { headers?: object; message?: string; more?: string } = {},
): Answer {
  return (_, response) => {
    response.writeHead(status, { ...headers, 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`);
  };
}

/** The answer to a HEAD: no body, no code. */
function bare(status: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => response.writeHead(status, headers).end();
}

const put = (condition = {}) => store.putObject('photos.tar', Buffer.from('x'), { metadata: {}, crc32: 0, condition });
const sendPart = () =>
  store.sendPart('photos.tar', { uploadId: 'u', number: 1, offset: 0, body: Buffer.from('x'), crc32: 0 });
const complete = (condition = {}) =>
  store.completeUpload('photos.tar', { uploadId: 'u', parts: [], size: 0, crc32: 0, condition });
const read = () => store.read('photos.tar', { first: 0, last: 9 });
const head = () => store.head('photos.tar');

const LOST = { code: 'upload-lost' };

describe('an error of S3', () => {
  it.each<[string, () => Promise<unknown>, Answer, object]>([
    ['a missing bucket', put, s3Says(404, 'NoSuchBucket'), { code: 'bucket-not-found' }],
    ['a missing object', read, s3Says(404, 'NoSuchKey'), { code: 'object-not-found' }],
    ['a missing version', read, s3Says(404, 'NoSuchVersion'), { code: 'object-not-found' }],
    ['a missing upload', sendPart, s3Says(404, 'NoSuchUpload'), { code: 'upload-lost' }],
    ['a missing upload, as Ceph says it', () => collect(store.listParts('k', 'u')), s3Says(404, 'NoSuchKey'), LOST],
    ['a guard that the server lacks', put, s3Says(501, 'NotImplemented'), { code: 'store-error', hint: /README/ }],
    ['a denied write', put, s3Says(403, 'AccessDenied'), { code: 'access-denied', hint: /s3:PutObject/ }],
    ['a denied part', sendPart, s3Says(403, 'AccessDenied'), { code: 'access-denied', hint: /s3:PutObject/ }],
    ['a denied read', read, s3Says(403, 'AccessDenied'), { code: 'access-denied', hint: /s3:GetObject/ }],
    [
      "a denial by the bucket's policy",
      put,
      s3Says(403, 'AccessDenied', { message: 'not authorized, with an explicit deny in a resource-based policy' }),
      { code: 'policy-denied', hint: /https:.*--sse.*--tag.*`sealift doctor s3:\/\/backups`/ },
    ],
    [
      "a denial by the organization's policy",
      put,
      s3Says(403, 'AccessDenied', { message: 'not authorized, with an explicit deny in a service control policy' }),
      { code: 'policy-denied', hint: /organization/ },
    ],
    [
      'a denied head',
      head,
      bare(403),
      { code: 'access-denied', hint: /s3:GetObject.*s3:ListBucket/, message: /HTTP 403/ },
    ],
    [
      'a denied list of parts',
      () => collect(store.listParts('k', 'u')),
      s3Says(403, 'AccessDenied'),
      { code: 'access-denied', hint: /s3:ListMultipartUploadParts/ },
    ],
    [
      'a denied list of uploads',
      () => collect(store.listUploads('k')),
      s3Says(403, 'AccessDenied'),
      { code: 'access-denied', hint: /s3:ListBucketMultipartUploads/ },
    ],
    [
      'a denied abort',
      () => store.abortUpload('k', 'u'),
      s3Says(403, 'AccessDenied'),
      { code: 'access-denied', hint: /s3:AbortMultipartUpload/ },
    ],
    ['an expired token', put, s3Says(400, 'ExpiredToken'), { code: 'credentials-expired' }],
    [
      'an unknown access key',
      put,
      s3Says(403, 'InvalidAccessKeyId'),
      { code: 'access-denied', hint: /AWS_ACCESS_KEY_ID/ },
    ],
    [
      'a wrong secret',
      put,
      s3Says(403, 'SignatureDoesNotMatch'),
      { code: 'access-denied', hint: /AWS_SECRET_ACCESS_KEY/ },
    ],
    ['a wrong clock', put, s3Says(403, 'RequestTimeTooSkewed'), { code: 'access-denied', hint: /clock/ }],
    [
      'another region by header',
      put,
      s3Says(301, 'PermanentRedirect', { headers: { 'x-amz-bucket-region': 'eu-west-1' } }),
      { code: 'wrong-region', hint: /AWS_REGION=eu-west-1/ },
    ],
    [
      'another region by body',
      put,
      s3Says(400, 'AuthorizationHeaderMalformed', { more: '<Region>eu-west-1</Region>' }),
      { code: 'wrong-region', hint: /AWS_REGION=eu-west-1/ },
    ],
    [
      'another region of a head',
      head,
      bare(400, { 'x-amz-bucket-region': 'eu-west-1' }),
      { code: 'wrong-region', hint: /AWS_REGION=eu-west-1/ },
    ],
    ['another region unnamed', put, s3Says(301, 'PermanentRedirect'), { code: 'wrong-region', hint: /AWS_REGION/ }],
    [
      'an error that names the right region beside',
      put,
      s3Says(400, 'InvalidRequest', { headers: { 'x-amz-bucket-region': 'us-east-1' } }),
      { code: 'store-error', message: /Words of S3/ },
    ],
    ['a name taken', () => put({ ifNoneMatch: '*' }), s3Says(412, 'PreconditionFailed'), { code: 'target-exists' }],
    ['a target changed', () => put({ ifMatch: '"e"' }), s3Says(412, 'PreconditionFailed'), { code: 'target-changed' }],
    ['a target gone', () => put({ ifMatch: '"e"' }), s3Says(404, 'NoSuchKey'), { code: 'target-changed' }],
    [
      'a name taken at the end',
      () => complete({ ifNoneMatch: '*' }),
      s3Says(412, 'PreconditionFailed'),
      { code: 'target-exists' },
    ],
    [
      'a target changed at the end',
      () => complete({ ifMatch: '"e"' }),
      s3Says(412, 'PreconditionFailed'),
      { code: 'target-changed' },
    ],
    [
      'a conflict at the end',
      () => complete({ ifNoneMatch: '*' }),
      s3Says(409, 'ConditionalRequestConflict'),
      { code: 'upload-lost' },
    ],
    ['an object replaced', read, s3Says(412, 'PreconditionFailed'), { code: 'object-changed' }],
    ['a range past the end', read, s3Says(416, 'InvalidRange'), { code: 'bad-range' }],
    [
      'an archived object',
      read,
      s3Says(403, 'InvalidObjectState'),
      { code: 'object-archived', hint: /restore-object/ },
    ],
    ['too much metadata', put, s3Says(400, 'MetadataTooLarge'), { code: 'metadata-too-large' }],
    ['too large a body', sendPart, s3Says(400, 'EntityTooLarge'), { code: 'store-error', hint: /--part-size/ }],
    ['too small a part', complete, s3Says(400, 'EntityTooSmall'), { code: 'store-error', hint: /--part-size/ }],
    ['another part', complete, s3Says(400, 'InvalidPart'), { code: 'store-error', hint: /--fresh/ }],
    [
      'what we never heard of',
      put,
      s3Says(400, 'TeapotException'),
      { code: 'store-error', message: /TeapotException: Words/ },
    ],
  ])('for %s is told once, with a remedy', async (_, call, says, expected) => {
    answer = says;
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown as SealiftError,
    );
    expect(error).toBeInstanceOf(SealiftError);
    expect(error!.hint).not.toBe('');
    expect(error!.message).toMatch(/^[A-Z][A-Za-z]+ s3:\/\/backups\//);
    for (const [field, value] of Object.entries(expected)) {
      expect(error![field as 'code'], field).toEqual(value instanceof RegExp ? expect.stringMatching(value) : value);
    }
    expect(retries).toEqual([]);
  });
});

describe('what may pass is tried again', () => {
  it.each<[string, () => Promise<unknown>, Answer, object]>([
    ['an error of the server', put, s3Says(500, 'InternalError'), { code: 'store-unavailable', exit: 5 }],
    [
      'a bad gateway',
      put,
      (_, response) => response.writeHead(502).end('<html>'),
      { code: 'store-unavailable', exit: 5 },
    ],
    [
      'a gateway whose words are cut off',
      put,
      (_, response) => response.writeHead(502).end('<html><!-- sorry'),
      { code: 'store-unavailable', exit: 5 },
    ],
    ['a head told to come later', head, bare(503), { code: 'store-throttled', exit: 5 }],
    ['a connection cut', put, (request) => request.socket.destroy(), { code: 'store-unavailable', exit: 5 }],
    ['bytes damaged on the way', sendPart, s3Says(400, 'BadDigest'), { code: 'checksum-mismatch', exit: 6 }],
    [
      'a conflict with another writer',
      () => put({ ifNoneMatch: '*' }),
      s3Says(409, 'ConditionalRequestConflict'),
      { code: 'store-unavailable', exit: 5 },
    ],
    ['a body that did not come', sendPart, s3Says(400, 'RequestTimeout'), { code: 'store-unavailable', exit: 5 }],
    [
      'an error inside the 200 for a part',
      sendPart,
      s3Says(200, 'InternalError'),
      { code: 'store-unavailable', exit: 5 },
    ],
    ['an error inside a 200', complete, s3Says(200, 'InternalError'), { code: 'store-unavailable', exit: 5 }],
    ['an empty 200', complete, bare(200), { code: 'store-unavailable', exit: 5 }],
  ])('%s', async (_, call, says, expected) => {
    answer = says;
    await expect(call()).rejects.toMatchObject(expected);
    expect(calls).toHaveLength(settings.maxAttempts);
    expect(retries).toHaveLength(settings.maxAttempts - 1);
  });

  it('SlowDown, more slowly, and the caller hears that it is throttled', async () => {
    const patient = makeStore({ maxAttempts: 2 });
    answer = s3Says(503, 'SlowDown');
    await expect(patient.head('photos.tar')).rejects.toMatchObject({ code: 'store-throttled', exit: 5 });
    expect(retries).toEqual([{ call: 'HeadObject', throttled: true, reason: expect.any(String) }]);
    patient.close();
  });

  it('and may succeed', async () => {
    let failures = 2;
    answer = (request, response) =>
      failures-- > 0 ? s3Says(500, 'InternalError')(request, response) : bare(200, { etag: '"e"' })(request, response);
    expect(await sendPart()).toEqual({ etag: '"e"' });
    expect(retries.map(({ call, throttled }) => [call, throttled])).toEqual([
      ['UploadPart', false],
      ['UploadPart', false],
    ]);
  });
});

it('what was interrupted is not tried again, whatever it failed of', async () => {
  const interruption = new AbortController();
  const failure = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    interruption.abort();
    throw failure;
  };
  await expect(retry(attempt, { maxAttempts: 3, signal: interruption.signal })).rejects.toBe(failure);
  expect(attempts).toBe(1);
});

describe('a clock that is wrong', () => {
  const HOUR_MS = 3_600_000;
  /** As a signature has it: 20260131T120000Z. */
  const toMs = (date: unknown) => Date.parse(String(date).replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'));

  it('is put right by the server, and its request made again', async () => {
    const fresh = makeStore();
    const signed: number[] = [];
    answer = (request, response) => {
      signed.push(toMs(request.headers['x-amz-date']) - Date.now());
      const date = new Date(Date.now() + HOUR_MS).toUTCString();
      if (signed.length === 1) s3Says(403, 'RequestTimeTooSkewed', { headers: { date } })(request, response);
      else bare(200, { date, etag: '"e"' })(request, response);
    };
    const body = Buffer.from('x');
    expect(await fresh.sendPart('k', { uploadId: 'u', number: 1, offset: 0, body, crc32: 0 })).toEqual({ etag: '"e"' });
    await fresh.sendPart('k', { uploadId: 'u', number: 2, offset: 1, body, crc32: 0 });
    const hours = signed.map((ms) => Math.round(ms / HOUR_MS));
    expect(hours.join()).toBe('0,1,1');
    fresh.close();
  });

  it('is put right for all requests that were under way', async () => {
    const fresh = makeStore();
    const date = new Date(Date.now() + HOUR_MS).toUTCString();
    const refusals: (() => void)[] = [];
    answer = (request, response) => {
      if (toMs(request.headers['x-amz-date']) - Date.now() > HOUR_MS / 2) {
        bare(200, { date, etag: '"e"' })(request, response);
        return;
      }
      refusals.push(() => s3Says(403, 'RequestTimeTooSkewed', { headers: { date } })(request, response));
      if (refusals.length === 2) for (const refuse of refusals) refuse();
    };
    const send = (number: number) =>
      fresh.sendPart('k', { uploadId: 'u', number, offset: 0, body: Buffer.from('x'), crc32: 0 });
    const outcomes = await Promise.allSettled([send(1), send(2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    fresh.close();
  });
});

describe('an answer of success that is none', () => {
  it('is not believed when it cannot be read', async () => {
    answer = (_, response) => response.writeHead(200).end('<CompleteMultipartUploadResult><ETag>');
    await expect(complete()).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  it('is not believed when it lacks what S3 always sends', async () => {
    answer = bare(200);
    await expect(sendPart()).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('ETag'),
    });
    await expect(put()).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  it.each([
    ['the whole object instead of a range', 200, undefined],
    ['another range', 206, 'bytes 5-14/100'],
    ['a shorter range', 206, 'bytes 0-4/100'],
    ['a range longer than its bytes', 206, 'bytes 0-9/100'],
  ])('is not read when it is %s', async (_, status, range) => {
    answer = bareWithBody(status, range);
    await expect(read()).rejects.toMatchObject({
      code: 'store-error',
      message: expect.stringContaining('bytes 0 to 9'),
    });
  });

  function bareWithBody(status: number, range: string | undefined): Answer {
    const headers = { 'content-length': '5', etag: '"e"', ...(range ? { 'content-range': range } : {}) };
    return (_, response) => response.writeHead(status, headers).end('12345');
  }
});

describe('HEAD says 404 for a missing object and for a missing bucket', () => {
  it('so the bucket is asked for', async () => {
    answer = bare(404);
    await expect(head()).rejects.toMatchObject({ code: 'bucket-not-found' });
    expect(calls).toEqual(['HEAD /backups/photos.tar', 'HEAD /backups/']);
  });

  it('and a bucket that may not be looked at is there, which is asked only once', async () => {
    const fresh = makeStore();
    answer = (request, response) => bare(request.url === '/backups/' ? 403 : 404)(request, response);
    expect(await fresh.head('photos.tar')).toBeUndefined();
    expect(await fresh.head('photos.tar')).toBeUndefined();
    expect(calls).toEqual(['HEAD /backups/photos.tar', 'HEAD /backups/', 'HEAD /backups/photos.tar']);
    fresh.close();
  });
});

describe('redirects are not followed', () => {
  it.each([301, 302, 307, 308])('%i', async (status) => {
    answer = bare(status, { location: 'http://elsewhere.example/' });
    await expect(put()).rejects.toBeInstanceOf(SealiftError);
    await expect(sendPart()).rejects.toBeInstanceOf(SealiftError);
    expect(calls).toHaveLength(2);
  });
});

describe('an error of the network', () => {
  it('for a port nobody listens on says to look at the endpoint', async () => {
    const nobody = makeStore({ endpoint: 'http://127.0.0.1:1' });
    await expect(nobody.head('photos.tar')).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
      hint: expect.stringContaining('endpoint'),
    });
    nobody.close();
  });

  it.each(['ECONNRESET', 'EPROTO', 'ENOTFOUND', 'HPE_INVALID_CONSTANT', 'ERR_SSL_WRONG_VERSION_NUMBER'])(
    '%s may pass',
    (code) => {
      const error = s3Error(Object.assign(new Error('gone'), { code }), {
        call: 'PutObject',
        url: 's3://backups/k',
        region: 'us-east-1',
      });
      expect(error).toMatchObject({ code: 'store-unavailable' });
    },
  );

  it.each([
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
  ])('%s says to set AWS_CA_BUNDLE', (code) => {
    const error = s3Error(Object.assign(new Error('certificate'), { code }), {
      call: 'PutObject',
      url: 's3://backups/k',
      region: 'us-east-1',
    });
    expect(error).toMatchObject({ code: 'store-error', hint: expect.stringContaining('AWS_CA_BUNDLE') });
  });
});

it.each([
  new TypeError('x is not a function'),
  Object.assign(new TypeError('Invalid character in header content'), { code: 'ERR_INVALID_CHAR' }),
])('an error nobody foresaw is internal, and keeps its cause: %s', (cause) => {
  const error = s3Error(cause, { call: 'PutObject', url: 's3://backups/k', region: 'us-east-1' });
  expect(error).toMatchObject({ code: 'internal', cause: { name: cause.name, message: cause.message } });
});

it.each([undefined, null, 'a text'])('what is thrown and is no error is internal, in words: %s', (thrown) => {
  const error = s3Error(thrown, { call: 'PutObject', url: 's3://backups/k', region: 'us-east-1' });
  expect(error).toMatchObject({ code: 'internal', message: expect.stringContaining(String(thrown)) });
  expect(credentialsError(thrown).message).toContain(String(thrown));
});

it('what a provider of credentials was told stands in no error', () => {
  const refused = Object.assign(new Error('The token is not valid'), { $response: { body: 'secret' } });
  const thrown = Object.assign(new Error('Could not assume the role', { cause: refused }), { credentials: 'secret' });
  const shown = inspect(credentialsError(thrown), { depth: 20, showHidden: true });
  expect(shown).toContain('The token is not valid');
  expect(shown).not.toContain("'secret'");
});

it('expired credentials of a chain are told apart from missing ones', () => {
  expect(credentialsError(new Error('The SSO session has expired'))).toMatchObject({ code: 'credentials-expired' });
  expect(credentialsError(new Error('Could not load credentials'))).toMatchObject({ code: 'credentials-missing' });
});

describe('a server that does less than S3', () => {
  it('answers a read with another object than If-Match names', async () => {
    answer = (_, response) => {
      response.writeHead(206, { etag: '"theirs"', 'content-range': 'bytes 0-9/10', 'content-length': 10 });
      response.end('0123456789');
    };
    await expect(store.read('photos.tar', { first: 0, last: 9 }, { ifMatch: '"ours"' })).rejects.toMatchObject({
      code: 'object-changed',
    });
  });

  it('lists uploads as they come, their keys not encoded', async () => {
    const upload = (key: string) =>
      `<Upload><Key>${key}</Key><UploadId>of ${key}</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>`;
    answer = (_, response) =>
      response.end(
        `<ListMultipartUploadsResult>${['100%+', '100%', '100%'].map(upload).join('')}</ListMultipartUploadsResult>`,
      );
    const listed = await collect(store.listUploads('100%'));
    expect(listed.map(({ uploadId }) => uploadId)).toEqual(['of 100%', 'of 100%']);
  });
});

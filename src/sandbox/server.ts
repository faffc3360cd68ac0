/**
 * The sandbox: a local S3, KMS and Service Quotas in one server on the loopback address, strict where AWS is strict, so that what works
 * here works there. Bytes lie in a temporary folder, in a folder of yours, or nowhere.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DEFAULT_CIPHERS } from 'node:tls';
import { SealiftError } from '../errors.ts';
import { MiB } from '../units.ts';
import { type FaultCall, Faults } from './faults.ts';
import { SandboxKms } from './kms.ts';
import { RequestLog, type RequestRecord } from './log.ts';
import { addBucket } from './s3/buckets.ts';
import type { S3 } from './s3/call.ts';
import { Catalog } from './s3/catalog.ts';
import { KmsUse } from './s3/kms-use.ts';
import { DiscardStorage, FolderStorage, type Storage } from './s3/storage.ts';
import { SandboxQuotas } from './service-quotas.ts';
import { Shell } from './shell.ts';
import { createCertificate } from './tls.ts';

export interface SandboxOptions {
  https?: boolean | undefined;
  /** 0 or none: any free one. */
  port?: number | undefined;
  /** Buckets that are there from the start. */
  buckets?: readonly string[] | undefined;
  /** Keeps objects, uploads and keys here, for the next sandbox to find. */
  dir?: string | undefined;
  /** Keeps sizes, checksums and headers, but no bytes. */
  discard?: boolean | undefined;
  /** KMS cryptographic calls a second. */
  kmsQuota?: number | undefined;
  /** See faults.ts. */
  faults?: string | undefined;
  /** S3's is 5 MiB; smaller ones are for tests. */
  minPartSize?: number | undefined;
  /** Refuses parts of different sizes, as Cloudflare R2 does. */
  equalParts?: boolean | undefined;
  region?: string | undefined;
  /** A file that gets a JSON line a request. */
  log?: string | undefined;
  /** Called when a request has ended. */
  onRequest?: ((record: RequestRecord) => void) | undefined;
  /** Called when a fault strikes a request, which goes no further before this is done. */
  onFault?: ((call: FaultCall) => void | Promise<void>) | undefined;
}

export interface Sandbox {
  readonly s3Url: string;
  readonly kmsUrl: string;
  /** ARN of the key that is there from the start. */
  readonly kmsKeyId: string;
  /** What AWS's tools and SDKs read to come here. */
  readonly env: Readonly<Record<string, string>>;
  readonly kms: SandboxKms;
  /** Replaces all faults; counts begin anew. Throws `bad-option`. */
  setFaults(spec: string): void;
  /** Cuts what is open and removes what is temporary. */
  close(): Promise<void>;
}

const ACCOUNT_ID = '000000000000';
const CREDENTIALS = {
  accessKeyId: 'AKIASANDBOX0EXAMPLE',
  secretAccessKey: 'sandbox/secret/that/opens/nothing/else00',
};
const REGION = 'us-east-1';
/** userguide/qfacts.html: 5 MiB, but for the last part. */
const MIN_PART_SIZE = 5 * MiB;
/** Longer than any client keeps an idle connection, so that none is closed while a request is on its way. */
const KEEP_ALIVE_MS = 120_000;

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  if (options.dir !== undefined && options.discard) {
    throw new SealiftError('bad-option', 'A sandbox cannot both keep bytes in a folder and discard them', {
      hint: 'Give either --dir or --discard.',
    });
  }
  const faults = Faults.parse(options.faults ?? '');
  const region = options.region ?? REGION;
  // Where it cannot start, what was opened by then is closed again.
  await using opened = new AsyncDisposableStack();
  const place = openPlace(options);
  opened.defer(() => place.close());
  const kms = new SandboxKms({
    region,
    accountId: ACCOUNT_ID,
    quotaPerSecond: options.kmsQuota,
    stateFile: options.dir === undefined ? undefined : join(place.folder, 'kms.json'),
  });
  const minPartSize = options.minPartSize ?? MIN_PART_SIZE;
  const { catalog, storage } = place;
  const equalParts = options.equalParts ?? false;
  const s3: S3 = { kms: new KmsUse(kms), catalog, storage, region, accountId: ACCOUNT_ID, minPartSize, equalParts };
  const log = options.log === undefined ? undefined : new RequestLog(options.log);
  opened.defer(() => log?.close());
  const shell = new Shell(faults, {
    s3,
    kms,
    quotas: new SandboxQuotas({ region, kmsPerSecond: kms.quotaPerSecond }),
    credentials: CREDENTIALS,
    secure: options.https ?? false,
    onFault: options.onFault,
    onRequest(record) {
      log?.write(record);
      options.onRequest?.(record);
    },
  });
  const server = options.https ? await createTlsServer(place.temporary) : http.createServer();
  opened.defer(() => shell.settled());
  opened.defer(() => stop(server));
  for (const bucket of options.buckets ?? []) createFirstBucket(bucket, s3);
  await listen(server, shell, options.port ?? 0);
  const running = opened.move();
  const url = `${options.https ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    s3Url: url,
    kmsUrl: url,
    kmsKeyId: kms.defaultKeyArn,
    env: environment(url, region, options.https ? join(place.temporary, CA_FILE) : undefined),
    kms,
    setFaults(spec) {
      shell.faults = Faults.parse(spec);
    },
    close: () => running.disposeAsync(),
  };
}

// Where things are.

interface Place {
  readonly folder: string;
  /** Goes when the sandbox goes. */
  readonly temporary: string;
  readonly catalog: Catalog;
  readonly storage: Storage;
  close(): void;
}

function openPlace(options: SandboxOptions): Place {
  const temporary = mkdtempSync(join(tmpdir(), 'sealift-sandbox-'));
  const removeTemporary = () => rmSync(temporary, { recursive: true, force: true });
  process.once('exit', removeTemporary);
  using opened = new DisposableStack();
  opened.defer(() => {
    removeTemporary();
    process.off('exit', removeTemporary);
  });
  const folder = options.dir === undefined ? temporary : resolve(options.dir);
  mkdirSync(folder, { recursive: true });
  const catalog = options.dir === undefined ? new Catalog(':memory:') : openCatalog(folder);
  opened.defer(() => catalog.close());
  const storage = options.discard ? new DiscardStorage() : openFolder(folder, catalog);
  const held = opened.move();
  return { folder, temporary, catalog, storage, close: () => held.dispose() };
}

function openCatalog(folder: string): Catalog {
  try {
    return new Catalog(join(folder, 'catalog.db'));
  } catch (error) {
    throw new SealiftError('bad-option', `${folder} cannot be used: ${(error as Error).message}`, {
      hint: 'Give --dir a folder that no other sandbox is using.',
      cause: error,
    });
  }
}

function openFolder(folder: string, catalog: Catalog): FolderStorage {
  const storage = new FolderStorage(folder);
  // A sandbox that was killed may have stored bytes it did not come to note.
  const known = catalog.blobs();
  storage.remove(storage.blobs().filter((blob) => !known.has(blob)));
  return storage;
}

function createFirstBucket(bucket: string, s3: S3): void {
  try {
    addBucket(bucket, s3);
  } catch (error) {
    throw new SealiftError('bad-option', `Not a bucket's name: ${JSON.stringify(bucket)}`, {
      hint: 'A name has 3 to 63 characters: small letters, digits, dots and hyphens.',
      cause: error,
    });
  }
}

// The server.

const CA_FILE = 'ca.pem';

async function createTlsServer(folder: string): Promise<https.Server> {
  const { ca, cert, key } = await createCertificate();
  writeFileSync(join(folder, CA_FILE), ca);
  // AES-128 first, as S3's own servers choose; it is also the cheaper one.
  const ciphers = `TLS_AES_128_GCM_SHA256:${DEFAULT_CIPHERS}`;
  return https.createServer({ cert, key, ciphers, honorCipherOrder: true, minVersion: 'TLSv1.2' });
}

async function listen(server: http.Server | https.Server, shell: Shell, port: number): Promise<void> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  // A part may take as long as it takes.
  server.requestTimeout = 0;
  server.on('request', (request, response) => shell.handle(request, response));
  // Whoever asks first is told to go on only once the body is wanted (see body.ts).
  server.on('checkContinue', (request, response) => shell.handle(request, response));
  await new Promise<void>((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE' || error.code === 'EACCES';
      fail(
        taken
          ? new SealiftError('bad-option', `Port ${port} is not free`, {
              hint: 'Give another --port, or none.',
              cause: error,
            })
          : error,
      );
    });
    server.listen(port, '127.0.0.1', done);
  });
}

async function stop(server: http.Server | https.Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((done) => server.close(done));
  server.closeAllConnections();
  await closed;
}

function environment(url: string, region: string, caFile: string | undefined): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_ENDPOINT_URL_S3: url,
    AWS_ENDPOINT_URL_KMS: url,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    ...(caFile === undefined ? {} : { AWS_CA_BUNDLE: caFile, NODE_EXTRA_CA_CERTS: caFile }),
  };
}

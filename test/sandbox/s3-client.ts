/** A sandbox and the official client for it, for tests. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import type { RequestRecord } from '../../src/sandbox/log.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { KiB } from '../../src/units.ts';

export const BUCKET = 'bucket';
/** Small enough for tests to make many parts. */
export const PART = 64 * KiB;

export interface TestSandbox {
  sandbox: Sandbox;
  s3: S3Client;
  /** What the sandbox saw, in the order it ended. */
  records: RequestRecord[];
  close(): Promise<void>;
}

export async function openSandbox(options: SandboxOptions = {}): Promise<TestSandbox> {
  const records: RequestRecord[] = [];
  const sandbox = await startSandbox({
    buckets: [BUCKET],
    minPartSize: PART,
    ...options,
    onRequest: (record) => records.push(record),
  });
  const s3 = clientOf(sandbox);
  return {
    sandbox,
    s3,
    records,
    async close() {
      s3.destroy();
      await sandbox.close();
    },
  };
}

export function clientOf(sandbox: Sandbox, config: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: sandbox.s3Url,
    region: sandbox.env.AWS_REGION!,
    forcePathStyle: true,
    credentials: credentialsOf(sandbox),
    maxAttempts: 1,
    requestHandler: agentsFor(sandbox),
    ...config,
  });
}

/** That trust the authority of a sandbox with one. */
function agentsFor({ env: { AWS_CA_BUNDLE: ca } }: Sandbox) {
  return {
    httpAgent: new http.Agent({ keepAlive: true }),
    httpsAgent: new https.Agent({ keepAlive: true, ...(ca ? { ca: readFileSync(ca) } : {}) }),
  };
}

export function kmsClientOf(sandbox: Sandbox, config: KMSClientConfig = {}): KMSClient {
  return new KMSClient({
    endpoint: sandbox.kmsUrl,
    region: sandbox.env.AWS_REGION!,
    credentials: credentialsOf(sandbox),
    maxAttempts: 1,
    requestHandler: agentsFor(sandbox),
    ...config,
  });
}

export function credentialsOf({ env }: Sandbox): { accessKeyId: string; secretAccessKey: string } {
  return { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! };
}

/** `NoSuchKey 404` for a call that fails, `ok` for one that does not. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return `${name} ${$metadata?.httpStatusCode ?? ''}`.trim();
  }
}

/** Bytes that differ from place to place. */
export function bytes(size: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(size);
  let state = seed;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    buffer[i] = state >>> 16;
  }
  return buffer;
}

/** Waits for what is about to be true. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(condition()).toBe(true);
}

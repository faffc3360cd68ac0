/** Sealift as one of the clients: an engine a job, since each has keys and a policy of its own. */
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine, kmsKeyring, rawAesKeyring, rawRsaKeyring } from '../../../src/index.ts';
import { MiB } from '../../../src/units.ts';
import type { Answer, Job, Writer } from './peers.ts';

const names = { namespace: 'interop', name: 'key' };

export function sealiftPeer(env: Readonly<Record<string, string>>, folder: string): Writer {
  const stateDir = mkdtempSync(join(folder, 'state-'));
  return {
    peer: {
      name: 'Sealift',
      writes: ['v2', 'v3'],
      wrappings: ['kms', 'aes', 'rsa'],
      instructionFiles: true,
      readsInstructionFiles: true,
      multipart: true,
      ranges: true,
    },
    async run(job): Promise<Answer> {
      Object.assign(process.env, env);
      try {
        await run(job, stateDir);
        return { ok: true };
      } catch (error) {
        return { ok: false, error: String(error) };
      }
    },
    close() {},
  };
}

async function run(job: Job, stateDir: string): Promise<void> {
  const { op, file, format, range, context, instructionFile } = job;
  const url = `s3://${job.bucket}/${job.key}`;
  await using engine = createEngine({ keyring: keyringOf(job), stateDir, threads: 1 });
  if (op === 'get') {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    await engine.get({
      source: url,
      target: file,
      overwrite: true,
      commitmentPolicy:
        job.policy === 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT'
          ? 'require-encrypt-require-decrypt'
          : 'require-encrypt-allow-decrypt',
      expectContext: context,
      ...(first === undefined ? {} : { range: { first: Number(first), last: Number(last) }, releaseUnverified: true }),
    });
    return;
  }
  // Parts of 5 MiB make several of what is larger.
  const partSize = statSync(file).size > 5 * MiB ? 5 * MiB : undefined;
  await engine.put({
    source: file,
    target: url,
    format: 's3ec',
    s3ecLegacy: format === 'v2',
    instructionFile,
    context,
    partSize,
  });
}

function keyringOf({ wrapping, keys }: Job) {
  if (wrapping === 'kms') return kmsKeyring({ keyIds: [keys.kms] });
  if (wrapping === 'aes') return rawAesKeyring({ ...names, key: Buffer.from(keys.aes, 'base64') });
  const key = createPrivateKey({ key: Buffer.from(keys.rsaPrivate, 'base64'), format: 'der', type: 'pkcs8' });
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }) as string;
  return rawRsaKeyring({ ...names, padding: 'oaep-sha1', privateKey });
}

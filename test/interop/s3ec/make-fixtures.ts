/**
 * Makes test/vectors/s3ec-official.json: objects that the official clients wrote, with all that is needed to open them
 * again. Run it with `node test/interop/s3ec/make-fixtures.ts` where Java, Go and Python are at hand; what is there
 * changes wholly, since every client takes fresh keys.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { startSandbox } from '../../../src/sandbox/server.ts';
import { clientOf } from '../../sandbox/s3-client.ts';
import { type Keys, type RunningPeer, startPeers } from './peers.ts';
import { POLICY_TO_WRITE, SHAPES, shapesOf } from './shapes.ts';

const BUCKET = 'fixtures';
const CONTEXT = { department: 'records', year: '2026' };
const OUT = join(import.meta.dirname, '..', '..', 'vectors', 's3ec-official.json');

const folder = mkdtempSync(join(tmpdir(), 'sealift-fixtures-'));
const sandbox = await startSandbox({ buckets: [BUCKET], dir: join(folder, 'sandbox') });
const s3 = clientOf(sandbox);
const peers = startPeers(sandbox.env, (text) => {
  throw new Error(text);
});
const keys = freshKeys(sandbox.kmsKeyId);
const objects = [];
for (const running of peers) objects.push(...(await fixturesOf(running)));
for (const running of peers) running.close();
s3.destroy();
await sandbox.close();
const kms = JSON.parse(readFileSync(join(folder, 'sandbox', 'kms.json'), 'utf8'));
rmSync(folder, { recursive: true });
writeFileSync(
  OUT,
  `${JSON.stringify({ madeBy: 'test/interop/s3ec/make-fixtures.ts', keys, kms, objects }, null, 1)}\n`,
);
console.log(`${objects.length} objects`);

async function fixturesOf(running: RunningPeer): Promise<object[]> {
  const made = [];
  for (const { format, wrapping, shape, size } of shapesOf(running.peer, SHAPES, [0, 1, 16, 1000])) {
    const key = `${running.peer.name}/${format}/${wrapping}/${shape}/${size}`;
    const file = join(folder, 'plain');
    const plain = randomBytes(size);
    writeFileSync(file, plain);
    const context = wrapping === 'kms' ? CONTEXT : {};
    const policy = POLICY_TO_WRITE[format];
    const job = { op: 'put' as const, bucket: BUCKET, key, file, format, policy, wrapping, keys, context };
    const { ok, error } = await running.run({
      ...job,
      multipart: shape === 'multipart',
      instructionFile: shape === 'instruction file',
    });
    if (!ok) throw new Error(`${key}: ${error}`);
    made.push({
      writer: running.peer.name,
      format,
      wrapping,
      shape,
      context,
      sha256: createHash('sha256').update(plain).digest('hex'),
      stored: await storedUnder(s3, key),
    });
  }
  return made;
}

/** The object and what the client wrote beside it, by the end of their names. */
async function storedUnder(client: S3Client, key: string): Promise<object[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: key }));
  const found = Contents.map(({ Key }) => Key!).filter((name) => name === key || name === `${key}.instruction`);
  return Promise.all(
    found.map(async (Key) => {
      const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      return { suffix: Key.slice(key.length), metadata: Metadata, body: await Body!.transformToString('base64') };
    }),
  );
}

/** Keys for nothing but this. */
function freshKeys(kmsKeyId: string): Keys {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    kms: kmsKeyId,
    aes: randomBytes(32).toString('base64'),
    rsaPrivate: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    rsaPublic: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

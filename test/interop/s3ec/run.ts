/**
 * The matrix of S3 Encryption Clients: `npm run test:interop` builds the official ones for Java, Go and Python, lets each
 * of them and Sealift write all that it can, into the sandbox and into moto, and lets each read what the others wrote.
 * What must be refused is tried too. Ends with 1 where a cell is red.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startSandbox } from '../../../src/sandbox/server.ts';
import { MiB } from '../../../src/units.ts';
import { startMoto, virtualEnvironment } from '../esdk/python.ts';
import { type Format, type Job, type Keys, startPeers, type Writer } from './peers.ts';
import { sealiftPeer } from './sealift.ts';
import { POLICY_TO_READ, POLICY_TO_WRITE, type Shape, shapesOf } from './shapes.ts';

const BUCKET = 'interop';
const CONTEXT = { department: 'records', year: '2026' };
/** None, parts of a block, whole blocks, more than a buffer, and more than a part. */
const SIZES = [0, 1, 15, 16, 17, 1000, MiB + 1];
const MULTIPART_SIZES = [0, 17, 17 * MiB + 5];

interface Outcome {
  server: string;
  writer: string;
  format: Format;
  reader: string;
  /** What was written, and what was done with it. */
  about: string;
  /** What went wrong, where anything did. */
  problem: string | undefined;
}

const folder = mkdtempSync(join(tmpdir(), 'sealift-s3ec-'));
const outcomes: Outcome[] = [];
const sandbox = await startSandbox({ buckets: [BUCKET] });
Object.assign(process.env, sandbox.env);
const moto = await startMoto(virtualEnvironment('requirements.txt'), sandbox.env.AWS_REGION!);
try {
  const { aes, rsaPrivate, rsaPublic } = freshKeys();
  await tryAll('sandbox', { ...sandbox.env }, { kms: sandbox.kmsKeyId, aes, rsaPrivate, rsaPublic });
  const { endpoint, arn } = moto.key as { endpoint: string; arn: string };
  const motoEnv = { ...sandbox.env, AWS_ENDPOINT_URL_S3: endpoint, AWS_ENDPOINT_URL_KMS: endpoint };
  await createBucket(motoEnv);
  await tryAll('moto', motoEnv, { kms: arn, aes, rsaPrivate, rsaPublic });
  const red = outcomes.filter(({ problem }) => problem !== undefined);
  printTable();
  console.log(`\n${outcomes.length - red.length} as they must be, ${red.length} red`);
  for (const { server, about, problem } of red) console.log(`${server}: ${about}: ${problem}`);
  if (red.length > 0) process.exitCode = 1;
} finally {
  moto.stop();
  await sandbox.close();
  rmSync(folder, { recursive: true });
}

/** All writers and readers at one server. */
async function tryAll(server: string, env: Readonly<Record<string, string>>, keys: Keys): Promise<void> {
  const peers = startPeers(env, (text) => {
    throw new Error(text);
  });
  const ours = sealiftPeer(env, folder);
  const all = [...peers, ours];
  try {
    for (const writer of all) {
      const single = shapesOf(writer.peer, ['single', 'instruction file'], SIZES);
      // AWS's asynchronous Java client, with which theirs writes, fails at moto or waits for ever: there Java only reads.
      const hangs = server === 'moto' && writer.peer.name.startsWith('Java');
      const cells = hangs ? [] : [...single, ...shapesOf(writer.peer, ['multipart'], MULTIPART_SIZES)];
      console.log(`${server}: ${writer.peer.name} writes ${cells.length} objects`);
      for (const cell of cells) await tryCell(server, keys, writer, all, cell);
    }
  } finally {
    for (const { close } of all) await close();
  }
}

async function tryCell(server: string, keys: Keys, writer: Writer, readers: Writer[], cell: Shape): Promise<void> {
  const { format, wrapping, shape, size } = cell;
  const { name } = writer.peer;
  const key = `${name}/${format}/${wrapping}/${shape}/${size}`;
  const file = join(folder, 'plain');
  const plain = randomBytes(size);
  writeFileSync(file, plain);
  const context = wrapping === 'kms' ? CONTEXT : {};
  const common = { bucket: BUCKET, key, keys, wrapping, context };
  const note = (reader: string, done: string, problem: string | undefined) => {
    const about = `${name} ${format} ${wrapping} ${shape} ${size}, ${done} by ${reader}`;
    outcomes.push({ server, writer: name, format, reader, about, problem });
  };
  const { error } = await writer.run({
    ...common,
    op: 'put',
    file,
    format,
    policy: POLICY_TO_WRITE[format],
    multipart: shape === 'multipart',
    instructionFile: shape === 'instruction file',
  });
  if (error !== undefined) return void note(name, 'written', error);
  for (const reader of readers) {
    const { peer } = reader;
    if (!peer.writes.includes(format) || !peer.wrappings.includes(wrapping)) continue;
    if (shape === 'instruction file' && !peer.readsInstructionFiles) continue;
    const back = join(folder, 'back');
    const read: Job = { ...common, op: 'get', file: back, format: peer.writes.at(-1)!, policy: POLICY_TO_READ };
    rmSync(back, { force: true });
    const got = await reader.run(read);
    note(peer.name, 'read', got.error ?? (readFileSync(back).equals(plain) ? undefined : 'other bytes came back'));
    if (size !== 1000 || shape !== 'single') continue;
    if (peer.ranges) {
      const ranged = await reader.run({ ...read, range: 'bytes=100-299', legacy: true });
      const isSlice = ranged.error === undefined && readFileSync(back).equals(plain.subarray(100, 300));
      note(peer.name, 'a range read', ranged.error ?? (isSlice ? undefined : 'other bytes came back'));
    }
    if (wrapping === 'kms') {
      const refused = await reader.run({ ...read, context: { department: 'others' } });
      note(peer.name, 'refused under another context', refused.error === undefined ? 'was opened' : undefined);
    }
    if (format === 'v2' && peer.writes.includes('v3')) {
      const refused = await reader.run({ ...read, policy: 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT' });
      note(peer.name, 'refused where commitment is required', refused.error === undefined ? 'was opened' : undefined);
    }
  }
}

/** A row for each writer and format at each server, a column for each reader: how many were as they must be. */
function printTable(): void {
  const readers = [...new Set(outcomes.map(({ reader }) => reader))];
  const rows = Map.groupBy(outcomes, ({ server, writer, format }) => `${server} | ${writer} | ${format}`);
  console.log(`\n| at | written by | format | ${readers.join(' | ')} |\n|${' --- |'.repeat(3 + readers.length)}`);
  for (const [row, seen] of rows) {
    const cells = readers.map((reader) => {
      const all = seen.filter((outcome) => outcome.reader === reader);
      const right = all.filter(({ problem }) => problem === undefined);
      if (all.length === 0) return '-';
      return right.length === all.length ? `${all.length}` : `**${right.length} of ${all.length}**`;
    });
    console.log(`| ${[row, ...cells].join(' | ')} |`);
  }
}

async function createBucket(env: Readonly<Record<string, string>>): Promise<void> {
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! };
  const options = { endpoint: env.AWS_ENDPOINT_URL_S3!, region: env.AWS_REGION!, credentials, forcePathStyle: true };
  const s3 = new S3Client(options);
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  s3.destroy();
}

function freshKeys(): Omit<Keys, 'kms'> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    aes: randomBytes(32).toString('base64'),
    rsaPrivate: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    rsaPublic: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

/** `sealift put SOURCE DEST`: seal a file, an object or a pipe into an object. */
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { PutRequest } from '../index.ts';
import {
  type CustomerKeyFlags,
  customerKeysOf,
  type SseFlags,
  sourceKeyOf,
  sourceKeyOptions,
  sseOf,
  sseOptions,
} from './encryption.ts';
import { openRules } from './get.ts';
import { openEngine, openerFor, sealUseOf } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  freshOption,
  keyOptions,
  memoOf,
  type ObjectFlags,
  type OldKeyFlags,
  type OpenFlags,
  objectOptions,
  oldKeyOptions,
  outputOptions,
  type PipeFlags,
  type ProfileFlags,
  pipeOptions,
  profileOption,
  sealOption,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import type { Output } from './output.ts';
import { objectFor } from './paths.ts';
import { outputOf, type Pipe, standardInput } from './pipe.ts';
import { runJob } from './run.ts';
import { stopOnSignals } from './signals.ts';

type PutFlags = EngineFlags &
  OldKeyFlags &
  ObjectFlags &
  SseFlags &
  CustomerKeyFlags &
  PipeFlags &
  ProfileFlags & { fresh?: boolean };

const EXAMPLES = `
Examples:
  $ sealift put db.tar s3://backups/2026/db.tar --kms-key alias/backups
  $ sealift put db.tar file:///mnt/usb/ --raw-key ~/backup.key        # onto a disk, under the file's name
  $ sealift put s3://old/db.tar s3://backups/db.tar --kms-key alias/backups    # from bucket to bucket
  $ tar c /srv | sealift put - s3://backups/srv.tar --kms-key alias/backups --expected-size 500GiB
  $ sealift put --from-command 'pg_dump shop' s3://backups/shop.sql --kms-key alias/backups

Interrupted? The same command, or \`sealift resume\`, goes on where it stopped. A pipe begins anew. Of a pipe's producer
nobody sees whether it failed or ended: --from-command runs it, and completes nothing unless it ends with status 0.

An object as the source is sealed as it is; or, where it is sealed already, in any format that \`sealift get\` opens, opened and
sealed anew. Content type, content headers, metadata and tags go over unless given anew. Its bytes come through here, and
touch no disk. It is the version found at the start that is read; replaced meanwhile it is not sealed.

--sign appends a signature, which nobody can make who may only decrypt. It costs half as much CPU again (all sealed bytes
are hashed in order, on one thread: about 1 CPU second a GiB), a KMS call an object, and on resume the sealing of all parts
again, to hash them. What is signed is opened from front to back: no --range, no resume.

--format s3ec writes what Amazon's S3 Encryption Clients read, up to 64 GiB an object. The object's bytes are one AES-GCM
message, and what opens it stands in the object's metadata. It has no frames and no signature, and is not bound to its
name; one KMS key or one raw key, not several; a --context only with KMS. --s3ec-legacy writes version 2 of that metadata,
which every client of the last years reads: it does not commit to its key, and takes a KMS call for every object.

--instruction-file puts the wrapped data key into KEY.instruction, an object of its own, instead of the metadata. It is
written right before the object, and put back as it was where the object fails. With --overwrite an older file is replaced;
in a bucket without versions only with --yes, for nobody but the job's ledger keeps the old one. A crash between the two
leaves the older object unreadable until \`sealift resume\` finishes or \`sealift cancel\` puts the file back.

--seal none uploads the bytes in the clear, for buckets where S3's own encryption (--sse) is what you want: with the same
threads, checks and resume, and without a key. Nobody can authenticate such an object, so every reader has to say
--seal none too.`;

export function addPut(program: Command, output: Output): void {
  const command = program
    .command('put')
    .summary('seal a file, an object or a pipe into an object')
    .description(
      'Seals a file or an object into an object in S3 or in a directory, in parallel. Takes up its own unfinished job.',
    )
    .usage('[options] <source> <dest>')
    .argument('<source>', 'the file, the object, or - for standard input; none with --from-command')
    .argument('[dest]', 's3://bucket/key or file:///path; one that ends in / takes the file name')
    .addHelpText('after', EXAMPLES);
  for (const add of [
    keyOptions,
    oldKeyOptions,
    objectOptions,
    sseOptions,
    sourceKeyOptions,
    pipeOptions,
    workOptions,
    profileOption,
    storeOptions,
    stateOptions,
    freshOption,
    outputOptions,
  ]) {
    add(command);
  }
  sealOption(command, 'send the bytes as they are, without a key; told below');
  command.action(async (first: string, second: string | undefined) => {
    const flags = flagsOf<PutFlags>(command);
    const { fresh, expectedSize, profileStages } = flags;
    const { source, dest } = endsOf({ first, second }, flags);
    using pipe = pipeOf(source, flags);
    const target = objectFor(source, dest);
    const request = pipe ? { source: pipe } : { source, memo: memoOf(flags), ...(await readingOf(source, flags)) };
    const { customerKey } = await customerKeysOf(flags);
    await using engine = await openEngine(flags, sealUseOf(flags));
    const signal = stopOnSignals(output);
    process.exitCode = await runJob({ output, signal, from: pipe?.name ?? source, to: target }, (run) =>
      engine.put({
        ...sealOptions(flags),
        ...request,
        customerKey,
        target,
        expectedSize,
        fresh,
        profileStages,
        ...run,
      }),
    );
  });
}

/** With a command for a source the only name is the object's, though a `-` may stand for the command. */
function endsOf(
  { first, second }: { first: string; second: string | undefined },
  { fromCommand }: PipeFlags,
): { source: string; dest: string } {
  if (fromCommand === undefined) {
    if (second !== undefined) return { source: first, dest: second };
    throw new SealiftError('usage', "Missing required argument 'dest'", {
      hint: '`sealift put --help` shows what it takes.',
    });
  }
  if (second === undefined) return { source: '-', dest: first };
  if (first === '-') return { source: first, dest: second };
  throw new SealiftError('usage', `Both ${first} and --from-command are given as the source`, {
    hint: 'Leave one of them out.',
  });
}

function pipeOf(source: string, { fromCommand }: PipeFlags): Pipe | undefined {
  if (fromCommand !== undefined) return outputOf(fromCommand);
  return source === '-' ? standardInput() : undefined;
}

/** How a source is read that is an object: sealed, it opens with the old keys. */
export async function readingOf(
  source: string,
  flags: EngineFlags & OldKeyFlags & OpenFlags & CustomerKeyFlags,
): Promise<Pick<PutRequest, 'opener' | 'sourceOptions'>> {
  if (!/^\w+:\/\//.test(source)) return {};
  const sourceOptions = { ...openRules(flags), customerKey: await sourceKeyOf(flags) };
  return { opener: await openerFor(flags), sourceOptions };
}

/** What the flags say about the object. */
export function sealOptions(flags: ObjectFlags & SseFlags): Omit<PutRequest, 'source' | 'target'> {
  const { seal, format, s3ecLegacy, instructionFile, frameSize, partSize, equalParts, context, sign } = flags;
  const sealing = { seal, format, s3ecLegacy, instructionFile, frameSize, partSize, equalParts, context, sign };
  const { overwrite, yes, contentType, storageClass, metadata, tag: tags } = flags;
  return { ...sealing, overwrite, yes, contentType, storageClass, metadata, tags, sse: sseOf(flags) };
}

/**
 * The flags, in groups that commands take as a whole. Every flag can also be set as SEALIFT_<FLAG>; the command line
 * wins. What a flag's text means is decided here, so a command gets numbers, lists and maps, all of them plain JSON: a
 * job keeps them as its memo.
 */
import { type Command, Option } from 'commander';
import { FORMATS, type Format } from '../formats/names.ts';
import { COMMITMENT_POLICIES, type CommitmentPolicy } from '../formats/policy.ts';
import { type Address, byteRate, count, list, pairs, path, paths, rate, share, size } from './flag-values.ts';
import type { OutputFlags } from './output.ts';

export interface KeyFlags {
  kmsKey?: string[] | undefined;
  rawKey?: string[] | undefined;
  kmsGrantToken?: string[] | undefined;
  kmsShare?: number | 'auto' | undefined;
  kmsRate?: number | undefined;
  limiter?: string | undefined;
  keyReuse?: 'on' | 'off' | undefined;
  kmsDiscoveryAccount?: string[] | undefined;
  kmsDiscoveryPartition?: string | undefined;
  allowPkcs1?: boolean | undefined;
}

export interface OldKeyFlags {
  oldKmsKey?: string[] | undefined;
  oldRawKey?: string[] | undefined;
}

export interface WorkFlags {
  maxMemory?: number | undefined;
  threads?: number | undefined;
  lanes?: number | undefined;
  bwlimit?: number | undefined;
}

export interface ProfileFlags {
  profileStages?: boolean | undefined;
}

export interface WatchFlags {
  metrics?: Address | undefined;
  logJson?: string | undefined;
}

export interface StoreFlags {
  pathStyle?: boolean | undefined;
  allowHttp?: boolean | undefined;
  expectedBucketOwner?: string | undefined;
}

export interface StateFlags {
  stateDir?: string | undefined;
}

/** Of what is not to be sealed, or is not. */
export interface SealFlag {
  seal?: 'none' | undefined;
}

export type EngineFlags = KeyFlags & WorkFlags & StoreFlags & StateFlags & OutputFlags;

export interface ObjectFlags extends SealFlag {
  overwrite?: boolean | undefined;
  format?: Format | undefined;
  s3ecLegacy?: boolean | undefined;
  instructionFile?: boolean | undefined;
  yes?: boolean | undefined;
  frameSize?: number | undefined;
  partSize?: number | undefined;
  equalParts?: boolean | undefined;
  context?: Record<string, string> | undefined;
  contentType?: string | undefined;
  storageClass?: string | undefined;
  metadata?: Record<string, string> | undefined;
  tag?: Record<string, string> | undefined;
  sign?: boolean | undefined;
}

export interface PipeFlags {
  fromCommand?: string | undefined;
  expectedSize?: number | undefined;
}

export interface OpenFlags extends SealFlag {
  overwrite?: boolean | undefined;
  range?: { first: number; last: number } | undefined;
  allowRelocated?: boolean | undefined;
  requireBound?: boolean | undefined;
  requireSignature?: boolean | undefined;
  versionId?: string | undefined;
  commitmentPolicy?: CommitmentPolicy | undefined;
  expectContext?: Record<string, string> | undefined;
  requiredContext?: Record<string, string> | undefined;
  maxEncryptedDataKeys?: number | undefined;
  releaseUnverified?: boolean | undefined;
  enableLegacyWrappingAlgorithms?: boolean | undefined;
  enableLegacyUnauthenticatedModes?: boolean | undefined;
}

export function keyOptions(command: Command): Command {
  return command
    .optionsGroup('Keys:')
    .addOption(flag('--kms-key <id>', 'KMS key id, ARN or alias; repeat for keys that can open it too', list))
    .addOption(flag('--raw-key <file>', 'raw key file, as `sealift keygen` makes it; repeat likewise', paths))
    .addOption(flag('--kms-grant-token <token>', 'token of a grant that is still new; may be repeated', list))
    .addOption(flag('--kms-share <part>', "part of the region's KMS quota to use (default 0.2), or auto", share))
    .addOption(flag('--kms-rate <n>', 'KMS calls a second at most, instead of a share', rate))
    .addOption(flag('--limiter <url>', 'redis://host: a limit of KMS calls shared by all that name it'))
    .addOption(flag('--key-reuse <on|off>', 'one data key for many objects (default on)').choices(['on', 'off']));
}

/** What an object opens with that is to get another key. */
export function oldKeyOptions(command: Command): Command {
  return command
    .optionsGroup('Keys:')
    .addOption(flag('--old-kms-key <id>', 'KMS key that the object has now; it need not be named', list))
    .addOption(flag('--old-raw-key <file>', 'raw key file that the object has now; may be repeated', paths));
}

/** What only opening can need. */
export function openKeyOptions(command: Command): Command {
  return command
    .addOption(flag('--kms-discovery-account <id>', "ask KMS only about this account's keys; may be repeated", list))
    .addOption(flag('--kms-discovery-partition <name>', 'with the former: aws (default), aws-cn, aws-us-gov, …'))
    .addOption(flag('--allow-pkcs1', 'take RSA keys of an unsafe padding, for old messages'));
}

/** What is demanded of a message before it is opened. */
export function messageOptions(command: Command): Command {
  return ruleOptions(command.optionsGroup('Message:').addOption(versionOption()));
}

/** As `messageOptions`, of the newest version alone. */
export function ruleOptions(command: Command): Command {
  return command
    .optionsGroup('Message:')
    .addOption(flag('--allow-relocated', 'open an object that was sealed under another name'))
    .addOption(flag('--require-bound', 'refuse an object that is bound to no name'))
    .addOption(flag('--require-signature', 'refuse an object that is not signed'))
    .addOption(flag('--expect-context <name=value>', 'refuse it without this pair in its context; repeatable', pairs))
    .addOption(
      flag('--required-context <name=value>', 'a pair it was sealed with but does not hold; repeatable', pairs),
    )
    .addOption(policyOption())
    .addOption(flag('--enable-legacy-wrapping-algorithms', 'open what S3 Encryption Clients wrapped before 2020'))
    .addOption(flag('--enable-legacy-unauthenticated-modes', 'open their AES-CBC, which nothing verifies'))
    .addOption(maxKeysOption());
}

function policyOption(): Option {
  return flag(
    '--commitment-policy <name>',
    `${COMMITMENT_POLICIES.join(', ')}: the first (default) refuses old messages`,
  ).choices(COMMITMENT_POLICIES);
}

export function versionOption(): Option {
  return flag('--version-id <id>', 'of an S3 bucket with versions: this one of the object');
}

export function maxKeysOption(): Option {
  return flag('--max-encrypted-data-keys <n>', 'refuse it with more wrapped data keys (default 100)', count);
}

export function workOptions(command: Command): Command {
  return command
    .optionsGroup('Work:')
    .addOption(flag('--max-memory <size>', 'resident memory of the process at most (default 512MiB)', size))
    .addOption(flag('--threads <n>', 'threads that seal, open, send and fetch', count))
    .addOption(flag('--lanes <n>', 'parts in flight over all threads; unless given it adapts', count))
    .addOption(flag('--bwlimit <rate>', 'sealed bytes a second at most, for example 10MiB/s', byteRate));
}

export function storeOptions(command: Command): Command {
  return command
    .optionsGroup('S3 (region, endpoint, credentials: the AWS settings):')
    .addOption(flag('--path-style', 'bucket in the path, not in the host name'))
    .addOption(flag('--allow-http', 'speak plain HTTP to an S3 endpoint that is not this machine'))
    .addOption(flag('--expected-bucket-owner <id>', 'account that the bucket must belong to'));
}

export function stateOptions(command: Command): Command {
  return command
    .optionsGroup('Jobs:')
    .addOption(flag('--state-dir <dir>', 'folder of the jobs (default: sealift in $XDG_STATE_HOME)', path));
}

export function freshOption(command: Command): Command {
  return command.addOption(flag('--fresh', 'forget the unfinished job of this command and start over'));
}

export function objectOptions(command: Command): Command {
  const kept = command
    .optionsGroup('Object:')
    .addOption(flag('--overwrite', 'replace an object that exists'))
    .addOption(flag('--instruction-file', 'with s3ec: the data key in a file beside the object'))
    .addOption(flag('--yes', 'replace an instruction file of which no version is kept'))
    .addOption(flag('--content-type <type>', 'media type of the object'))
    .addOption(flag('--metadata <name=value>', 'user metadata, not encrypted; may be repeated', pairs))
    .addOption(flag('--tag <name=value>', 'object tag; may be repeated', pairs));
  return sealOptions(kept);
}

/** As `objectOptions`, of many objects. */
export function manyOptions(command: Command): Command {
  const kept = command
    .optionsGroup('Objects:')
    .addOption(flag('--overwrite', 'replace objects that exist and are not the same'))
    .addOption(flag('--content-type <type>', 'media type of the objects'))
    .addOption(flag('--metadata <name=value>', 'user metadata, not encrypted; may be repeated', pairs))
    .addOption(flag('--tag <name=value>', 'object tag; may be repeated', pairs));
  return sealOptions(kept, 'Objects:');
}

/** How an object is sealed, also where all the rest of it is there already. */
export function sealOptions(command: Command, group = 'Object:'): Command {
  return command
    .optionsGroup(group)
    .addOption(flag('--format <name>', 'esdk (default) or s3ec; told below').choices(FORMATS))
    .addOption(flag('--s3ec-legacy', 'with s3ec, for readers that know only version 2'))
    .addOption(flag('--context <name=value>', 'encryption context, visible to all; may be repeated', pairs))
    .addOption(flag('--storage-class <class>', 'for example STANDARD_IA, GLACIER_IR'))
    .addOption(flag('--sign', 'append a signature; what that costs is told below'))
    .addOption(flag('--part-size <size>', 'bytes of a part (default 8MiB, more for very large files)', size))
    .addOption(flag('--equal-parts', 'parts of one size, for servers that want them: Cloudflare R2'))
    .addOption(flag('--frame-size <size>', 'bytes of a frame (default 256KiB)', size));
}

/** `how` says what it comes to. */
export function sealOption(command: Command, how: string): Command {
  return command.optionsGroup('Object:').addOption(flag('--seal <none>', how).choices(['none']));
}

export function pipeOptions(command: Command): Command {
  return command
    .optionsGroup('Pipe:')
    .addOption(flag('--from-command <cmd>', 'run CMD in a shell, and seal its output if it succeeds'))
    .addOption(flag('--expected-size <size>', 'of a pipe: begin with parts large enough for it', size));
}

export function profileOption(command: Command): Command {
  return command.optionsGroup('Work:').addOption(flag('--profile-stages', 'tell at the end where the time went'));
}

export function outputOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .addOption(flag('--json', 'JSON lines on standard output'))
    .addOption(flag('-q, --quiet', 'only warnings and errors'))
    .addOption(flag('-v, --verbose', 'requests made again, changes of lanes, and stacks of errors'));
}

/** Whether a switch's variable turns it on. Commander alone would take `0` for "on". */
export function isOn(value: string | undefined): boolean {
  return !['', '0', 'false', 'no', 'off'].includes(value?.toLowerCase() ?? '');
}

/** Reads a flag's text; `name` is the flag as it is written, `before` what the flag held when it is repeated. */
type Parse<T> = (text: string, name: string, before: T | undefined) => T;

/** An option with its environment variable. */
export function flag<T>(flags: string, description: string, parse?: Parse<T>): Option {
  const option = new Option(flags, description);
  if (parse) option.argParser<T>((text, before) => parse(text, option.long!, before));
  const variable = `SEALIFT_${option.name().replaceAll('-', '_').toUpperCase()}`;
  const value = process.env[variable] ?? '';
  const isSet = option.isBoolean() ? isOn(value) : value !== '';
  return isSet ? option.env(variable) : option;
}

/** What a job remembers of the command that began it. No secrets: a key file's path, never a key. */
export type Memo = { flags: Record<string, unknown> };

/** All flags but those that belong to one run, that say where the job itself is kept, or that may hold a password. */
export function memoOf(flags: EngineFlags & ProfileFlags & WatchFlags & { fresh?: boolean }): Memo {
  const { json, quiet, verbose, metrics, logJson, profileStages, fresh, stateDir, limiter, ...kept } = flags;
  return { flags: kept };
}

/** A command's flags: those of the command line, then `memo`, the flags of the run that began the job, then the environment. */
export function flagsOf<Flags>(command: Command, memo: FlagSet = {}): Flags {
  const given = (source: string): FlagSet =>
    Object.fromEntries(
      Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === source),
    );
  const strongestFirst = [given('cli'), memo, given('env')];
  return Object.assign({}, ...withOneKeySource(strongestFirst).reverse());
}

type FlagSet = Readonly<Record<string, unknown>>;

/** Keys are named by one source alone: a key named anew replaces one of the other kind too, it does not join it. */
function withOneKeySource(strongestFirst: readonly FlagSet[]): FlagSet[] {
  const source = strongestFirst.find(({ kmsKey, rawKey }) => kmsKey || rawKey);
  return strongestFirst.map((flags) => {
    const { kmsKey, rawKey, ...rest } = flags;
    return flags === source ? flags : rest;
  });
}

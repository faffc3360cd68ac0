/** `sealift sandbox`: a local S3 and KMS to try things on, for as long as it is wanted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import v8 from 'node:v8';
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { Sandbox, SandboxOptions } from '../sandbox/server.ts';
import { parseSize } from '../units.ts';
import { count, list } from './flag-values.ts';
import { flag, flagsOf, outputOptions } from './options.ts';
import type { Output } from './output.ts';

interface SandboxFlags extends Omit<SandboxOptions, 'buckets'> {
  bucket?: string[];
}

/** A sandbox without its parent serves nobody. */
const PARENT_CHECK_MS = 500;

const EXAMPLES = `
Examples:
  $ sealift sandbox --bucket backups
  $ sealift sandbox --https --bucket backups -- bash      # a shell whose AWS tools all come here
  $ sealift sandbox --bucket b --faults 'UploadPart:2=503; CompleteMultipartUpload:1=lose-answer'
  $ sealift sandbox --bucket b --discard -- sealift put huge.img s3://b/ --kms-key alias/sandbox

Its KMS has one key, alias/sandbox. README tells the language of --faults.`;

export function addSandbox(program: Command, output: Output): void {
  const command = program
    .command('sandbox')
    .summary('a local S3 and KMS to try things on')
    .description('Serves S3 and KMS on this machine, strict where AWS is, until it is stopped or CMD ends.')
    .argument('[cmd...]', 'after --: a command to run against it, and to stop with')
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Sandbox:')
    .addOption(flag('--https', 'serve HTTPS, with a certificate made for it'))
    .addOption(flag('--port <n>', 'port to listen on (default: any that is free)', count))
    .addOption(flag('--bucket <name>', 'a bucket that is there from the start; may be repeated', list))
    .addOption(flag('--dir <dir>', 'keep everything in this folder (default: a temporary one)'))
    .addOption(flag('--discard', 'keep sizes, checksums and headers, but no bytes'))
    .addOption(flag('--kms-quota <n>', 'KMS calls a second before it throttles (default 10000)', count))
    .addOption(flag('--faults <spec>', 'what goes wrong, and when'))
    .addOption(flag('--log <file>', 'append a JSON line for each request'))
    .addOption(flag('--min-part-size <size>', 'smallest part but the last (default 5MiB); for tests only', parseSize))
    .addOption(flag('--equal-parts', 'refuse parts of different sizes, as Cloudflare R2 does'));
  outputOptions(command);
  command.action(async (cmd: string[]) => {
    const { bucket: buckets, ...flags } = flagsOf<SandboxFlags>(command);
    // No budget of memory is kept here (cli/bin.ts), and with each request comes garbage.
    v8.setFlagsFromString('--semi-space-growth-factor=2');
    const { startSandbox } = await import('../sandbox/server.ts');
    const isServing = cmd.length === 0;
    // Before anyone hears that it serves: who hears may stop it at once.
    const unwanted = isServing ? untilUnwanted() : undefined;
    const sandbox = await startSandbox({ ...flags, buckets });
    try {
      tellReady(output, sandbox, { isServing });
      if (isServing) await unwanted;
      else process.exitCode = await runWith(sandbox, cmd);
    } finally {
      await sandbox.close();
    }
  });
}

function tellReady(output: Output, sandbox: Sandbox, { isServing }: { isServing: boolean }): void {
  const { s3Url: s3, kmsUrl: kms, kmsKeyId, env } = sandbox;
  output.json({ type: 'ready', s3, kms, kmsKeyId, env });
  output.say(`S3 and KMS at ${s3}. KMS key: alias/sandbox, that is ${kmsKeyId}`);
  if (!isServing) return;
  output.say('In another terminal, for Sealift and every other AWS tool:\n');
  output.say(
    Object.entries(env)
      .map(([name, value]) => `export ${name}='${value}'`)
      .join('\n'),
  );
  output.say('\nCtrl-C ends it.');
}

/** Resolves when a signal comes, or when the process that started this one is gone. */
async function untilUnwanted(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = whenParentIsGone(resolve);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve);
  await promise;
  clearInterval(timer);
}

function whenParentIsGone(tell: () => void): NodeJS.Timeout {
  const parent = process.ppid;
  return setInterval(() => {
    if (process.ppid !== parent) tell();
  }, PARENT_CHECK_MS).unref();
}

/** This process's environment, turned to the sandbox: what says whose AWS account is meant must not win over it. */
export function environmentWith(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { AWS_PROFILE, AWS_DEFAULT_PROFILE, AWS_SESSION_TOKEN, ...rest } = process.env;
  return { ...rest, ...env };
}

/** Runs a command against the sandbox. Resolves to its exit status, as a shell would tell it. */
async function runWith({ env }: Sandbox, [file, ...args]: string[]): Promise<number> {
  const child = spawn(file!, args, { stdio: 'inherit', env: environmentWith(env) });
  // A terminal's Ctrl-C goes to the command as well, and it is the command's to answer.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  // Whoever started this one is gone, as a terminal is that was closed.
  const timer = whenParentIsGone(() => child.kill('SIGHUP'));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', (cause) => {
    reject(new SealiftError('usage', `${file} cannot be run: ${cause.message}`, { hint: 'Check its name.', cause }));
  });
  child.once('exit', (...ending) => resolve(statusOf(...ending)));
  return promise.finally(() => clearInterval(timer));
}

function statusOf(code: ChildProcess['exitCode'], signal: ChildProcess['signalCode']): number {
  return code ?? 128 + constants.signals[signal!];
}

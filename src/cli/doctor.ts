/** `sealift doctor s3://BUCKET`: what is wrong with a bucket, and with `--fix` to put it right. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { EXIT, SealiftError } from '../errors.ts';
import type { Change, Diagnosis, Finding, UploadFinding } from '../index.ts';
import { formatDuration, formatSize } from '../units.ts';
import { list, pairs, sse } from './flag-values.ts';
import { openEngine } from './keys.ts';
import { type EngineFlags, flag, flagsOf, outputOptions, stateOptions, storeOptions } from './options.ts';
import { counted, type Output, visible } from './output.ts';
import { stopOnSignals } from './signals.ts';

type DoctorFlags = EngineFlags & {
  fix?: boolean | undefined;
  yes?: boolean | undefined;
  allowSseC?: boolean | undefined;
  requireSse?: { algorithm: string; keyId?: string } | undefined;
  requireTag?: Record<string, string> | undefined;
  skip?: string[] | undefined;
};

const EXAMPLES = `
Examples:
  $ sealift doctor s3://backups
  $ sealift doctor s3://backups --fix --skip versioning
  $ sealift doctor s3://backups --require-sse kms:arn:aws:kms:eu-central-1:111122223333:key/KEY-ID
  $ sealift doctor s3://backups --json | jq -r 'select(.state == "gap") | .remedy'

It reads the bucket's settings and lists its open uploads; without --fix nothing is changed. With --fix it shows each change
and asks. A policy is merged: statements of others stay as they are. What it may not look at it says, and looks at the rest.
Exit: 0 all was looked at and nothing is wrong; 3 gaps, or something could not be looked at or changed.`;

export function addDoctor(program: Command, output: Output): void {
  const command = program
    .command('doctor')
    .summary('what is wrong with a bucket, and how to put it right')
    .description('Says what is right and wrong with a bucket, why it matters and what to do; with --fix does it.')
    .argument('<bucket>', 's3://bucket')
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Doctor:')
    .addOption(flag('--fix', 'show what closes the gaps, ask, and do it'))
    .addOption(flag('--yes', 'with --fix: do not ask'))
    .addOption(flag('--allow-sse-c', 'SSE-C is wanted in this bucket: with --fix, unblock it'))
    .addOption(flag('--require-sse <mode>', 's3, kms[:ARN] or dsse[:ARN]: no object is to have another', sse))
    .addOption(flag('--require-tag <name=value>', 'no object is to come without this tag', pairs))
    .addOption(flag('--skip <check>', 'a check not to be made, by its name; may be repeated', list));
  for (const add of [storeOptions, stateOptions, outputOptions]) add(command);
  command.action(async (bucket: string) => {
    const flags = flagsOf<DoctorFlags>(command);
    const { allowSseC, requireSse, skip } = flags;
    // One that is set for all commands is no mistake.
    if (!flags.fix && command.getOptionValueSource('yes') === 'cli') throw nothingToApprove();
    checkAsks(flags);
    const requireTag = tagOf(flags);
    await using engine = await openEngine(flags, 'none');
    const signal = stopOnSignals(output);
    const approve = approvalOf(flags, output, signal);
    const diagnosis = await engine.doctor({ bucket, approve, allowSseC, requireSse, requireTag, skip, signal });
    process.exitCode = report(diagnosis, flags, output);
  });
}

function nothingToApprove(): SealiftError {
  return new SealiftError('usage', '--yes answers what --fix asks, and there is no --fix', {
    hint: 'Give --fix --yes to have the gaps closed; without either nothing is changed.',
  });
}

/** Throws where somebody is to be asked, and nobody is there. */
function checkAsks({ fix, yes }: DoctorFlags): void {
  if (!fix || yes || process.stdin.isTTY) return;
  throw new SealiftError('usage', '--fix asks before it changes anything, and there is no terminal to ask on', {
    hint: 'Look at what `sealift doctor` says without --fix; then give --fix --yes.',
  });
}

/** Undefined where nothing is to be changed. */
function approvalOf({ fix, yes }: DoctorFlags, output: Output, signal: AbortSignal) {
  if (!fix) return undefined;
  return async (changes: readonly Change[]): Promise<boolean> => {
    for (const change of changes) {
      output.json({ type: 'change', ...change });
      output.say(changeText(change));
    }
    return yes || (await ask(`Make ${counted(changes.length, 'change')}? [y/N] `, signal));
  };
}

/** Throws `interrupted`. */
async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  // While it asks, the terminal gives it a Ctrl-C as any other key.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const abandoned = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
  const answer = await Promise.race([reader.question(question, { signal }).catch(() => ''), abandoned]);
  reader.close();
  if (signal.aborted) throw SealiftError.interrupted(signal, 'doctor');
  return /^y(es)?$/i.test(answer.trim());
}

function tagOf({ requireTag = {} }: DoctorFlags): { name: string; value: string } | undefined {
  const [first, ...more] = Object.entries(requireTag);
  if (more.length > 0) {
    throw new SealiftError('bad-option', '--require-tag takes one tag', {
      hint: 'Name the one that marks your objects.',
    });
  }
  return first && { name: first[0], value: first[1] };
}

/** A policy's new statements, and which of ours they replace; of other settings what is and what is to be. */
function changeText({ setting, before, after, added, removed = [], consequences }: Change): string {
  const lines = added
    ? [
        'policy: these statements are put into it, and all others stay as they are',
        ...added.map((one) => JSON.stringify(one)),
        ...removed.map((one) => `in place of ${JSON.stringify(one)}`),
      ]
    : [`${setting}:`, `from ${JSON.stringify(before)}`, `to   ${JSON.stringify(after)}`];
  return [...lines, ...consequences].join('\n  ');
}

/** Tells it all, and returns the exit status. */
function report(
  { bucket, findings, uploads, applied, warnings }: Diagnosis,
  flags: DoctorFlags,
  output: Output,
): number {
  for (const finding of findings) output.json({ type: 'check', ...finding });
  for (const upload of uploads) output.json({ type: 'upload', ...upload });
  output.print(visible([...findings.map(findingText), ...uploadsText(uploads)].join('\n')));
  for (const warning of warnings) output.warn(warning);
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length;
  const [gaps, unknown] = [count('gap'), count('unknown')];
  const fixed = applied.length;
  const changed = applied.map(({ setting }) => setting);
  const counts = { gaps, unknown, fixed, uploads: uploads.length };
  output.json({ type: 'result', command: 'doctor', bucket, ...counts, applied: changed, warnings });
  const facts = [counted(gaps, 'gap')];
  if (unknown > 0) facts.push(`${counted(unknown, 'check')} could not be made`);
  if (fixed > 0) facts.push(`${counted(fixed, 'change')} made`);
  const advice =
    gaps > 0 && !flags.fix ? `\n\`sealift doctor s3://${bucket} --fix\` shows what would close them, and asks.` : '';
  output.say(`${facts.join(', ')}${advice}`);
  return gaps + unknown + warnings.length > 0 ? EXIT.warnings : EXIT.done;
}

const INDENT = ' '.repeat(9);

function findingText({ check, state, found, why, remedy }: Finding): string {
  const lines = [`${state.padEnd(INDENT.length)}${check}: ${found}`];
  if (state === 'gap') lines.push(`${INDENT}${why}`);
  if (remedy !== '') lines.push(`${INDENT}> ${remedy}`);
  return lines.join('\n');
}

function uploadsText(uploads: readonly UploadFinding[]): string[] {
  if (uploads.length === 0) return ['No upload is in progress.'];
  const stored = uploads.reduce((sum, { storedBytes }) => sum + (storedBytes ?? 0), 0);
  return [
    `${counted(uploads.length, 'upload')} in progress, ${formatSize(stored)} stored`,
    ...uploads.map(({ object, uploadId, owner, job, ageSeconds, storedBytes, remedy }) => {
      const whose = { ours: `ours, job ${job}`, 'perhaps-ours': 'perhaps ours', other: 'of another program' }[owner];
      const size = storedBytes === null ? 'size not to be seen' : formatSize(storedBytes);
      return `${INDENT}${object}: ${whose}, begun ${formatDuration(ageSeconds)} ago, ${size}\n${INDENT}upload ${uploadId}\n${INDENT}> ${remedy}`;
    }),
  ];
}

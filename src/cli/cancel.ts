/** `sealift cancel JOB`: give a job up, and free what it holds. */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { Cancelled } from '../index.ts';
import { openEngine } from './keys.ts';
import { type EngineFlags, flagsOf, outputOptions, stateOptions, storeOptions } from './options.ts';
import type { Output } from './output.ts';

const EXAMPLES = `
Examples:
  $ sealift jobs
  $ sealift cancel put-k3n5qxw7ta`;

const OUTCOMES: Record<Cancelled, (id: string) => string> = {
  cancelled: (id) =>
    `Cancelled ${id}: what it had under way is freed, an upload or a half-written file. Whole objects stay.`,
  left: (id) => `Dropped ${id}, but not its upload: the same command tries again.`,
  over: (id) => `Job ${id} is over already: there is nothing to cancel.`,
  forgotten: (id) =>
    `Forgot ${id}: its ledger was damaged. An upload it had may still be there: in S3, look with aws s3api list-multipart-uploads; in a directory, for a hidden folder beside the object.`,
};

export function addCancel(program: Command, output: Output): void {
  const command = program
    .command('cancel')
    .summary("abort a job's upload and drop the job")
    .description(
      "Aborts a put's upload, removes a get's half-written file, or both of a migration, and drops the job. Needs no key.",
    )
    .argument('<job>', 'its id, as `sealift jobs` shows it')
    .addHelpText('after', EXAMPLES);
  for (const add of [storeOptions, stateOptions, outputOptions]) add(command);
  command.action(async (id: string) => {
    await using engine = await openEngine(flagsOf<EngineFlags>(command), 'none');
    const warnings: string[] = [];
    const outcome = await engine.cancel(id, {
      onEvent: (event) => {
        if (event.type !== 'warning') return;
        warnings.push(event.message);
        output.warn(event.message);
      },
    });
    output.json({ type: 'result', command: 'cancel', job: id, outcome, warnings });
    output.say(OUTCOMES[outcome](id));
    if (warnings.length > 0) process.exitCode = EXIT.warnings;
  });
}

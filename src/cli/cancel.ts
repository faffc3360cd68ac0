/** `sealift cancel JOB`: give a job up, and free what it holds. */
import type { Command } from 'commander';
import { openEngine } from './keys.ts';
import { type EngineFlags, flagsOf, outputOptions, stateOptions, storeOptions } from './options.ts';
import type { Output } from './output.ts';

const EXAMPLES = `
Examples:
  $ sealift jobs
  $ sealift cancel put-k3n5qxw7ta`;

export function addCancel(program: Command, output: Output): void {
  const command = program
    .command('cancel')
    .summary("abort a job's upload and drop the job")
    .description("Aborts a put's upload, or removes a get's half-written file, and drops the job. Needs no key.")
    .argument('<job>', 'its id, as `sealift jobs` shows it')
    .addHelpText('after', EXAMPLES);
  for (const add of [storeOptions, stateOptions, outputOptions]) add(command);
  command.action(async (id: string) => {
    await using engine = await openEngine(flagsOf<EngineFlags>(command), 'none');
    const { state, command: does } = engine.job(id);
    if (state === 'running') await engine.cancel(id);
    output.json({ type: 'result', command: 'cancel', job: id });
    if (state !== 'running') output.say(`Job ${id} is over already (${state}): there is nothing to cancel.`);
    else output.say(`Cancelled ${id}: its ${does === 'put' ? 'upload is aborted' : 'half-written file is removed'}.`);
  });
}

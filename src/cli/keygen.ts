/** `sealift keygen FILE`: make a raw key. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { outputOptions } from './options.ts';
import type { Output } from './output.ts';

const EXAMPLES = `
Examples:
  $ sealift keygen ~/backup.key
  $ sealift put db.tar s3://backups/db.tar --raw-key ~/backup.key`;

export function addKeygen(program: Command, output: Output): void {
  const command = program
    .command('keygen')
    .summary('make a raw key file')
    .description('Writes a new AES-256 wrapping key into a new file that only you can read.')
    .argument('<file>', 'the file to make; one that exists is never replaced')
    .addHelpText('after', EXAMPLES);
  outputOptions(command);
  command.action(async (file: string) => {
    const { writeKeyFile } = await import('../index.ts');
    const { namespace, name } = await writeKeyFile(resolve(file));
    output.json({ type: 'result', command: 'keygen', file: resolve(file), namespace, name });
    output.say(`Wrote key ${name} to ${file}.`);
    output.say('Keep a copy of it in a safe place: without it nothing that it seals can ever be opened.');
  });
}

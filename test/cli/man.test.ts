/** The manual page says what the help says, and groff takes it. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { programFor } from '../../src/cli/main.ts';
import { manualOf } from '../../src/cli/man.ts';
import { Output } from '../../src/cli/output.ts';

const page = manualOf(programFor(new Output({})));

const hasGroff = spawnSync('groff', ['--version']).error === undefined;

/** The page as it is read, its lines as long as they like. */
function rendered(): string {
  const args = ['-man', '-Tutf8', '-ww', '-P-cbou', '-rLL=500n'];
  const { stdout, stderr } = spawnSync('groff', args, { input: page, encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

const squeezed = (text: string) => text.replaceAll(/\s+/g, ' ');

test('every command has a section, every flag and argument an entry', () => {
  const { commands } = programFor(new Output({}));
  expect(page.match(/^\.SS sealift .*$/gm)).toHaveLength(commands.length);
  for (const command of commands) {
    const flags = command.options.length + command.registeredArguments.length + 1;
    const [section = ''] = page.split('.SS sealift ').filter((text) => text.startsWith(`${command.name()} `));
    expect(section.match(/^\.TP$/gm), command.name()).toHaveLength(flags);
  }
});

test.skipIf(!hasGroff)('groff (skipped where it is not there) finds no fault, and shows every word of the help', () => {
  const text = squeezed(rendered());
  for (const command of programFor(new Output({})).commands) {
    let help = '';
    command.configureOutput({ writeOut: (written) => (help += written) }).outputHelp();
    const examples = help.split('\n').filter((line) => line.startsWith('  $ '));
    const told = [command.description(), ...command.options.map(({ description }) => description), ...examples];
    for (const sentence of told) expect(text).toContain(squeezed(sentence).trim());
  }
});

test('nothing of a text is taken for an instruction', () => {
  const program = programFor(new Output({}));
  program.command('odd').description(".so /etc/passwd\n'x' \\fB ^~` ².");
  expect(manualOf(program)).toContain('\\&.so /etc/passwd\n\\(aqx\\(aq \\efB \\(ha\\(ti\\(ga \\[u00B2].');
});

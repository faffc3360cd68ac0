/**
 * `sealift man`: the manual page, made from the very texts that `--help` shows, so that the two cannot differ. It is
 * written in the man macros, which every formatter of manual pages knows.
 */
import type { Command, Help } from 'commander';
import type { Output } from './output.ts';
import { versionOf } from './version.ts';

const EXAMPLES = `
Examples:
  $ sealift man | man -l -
  $ sealift man > ~/.local/share/man/man1/sealift.1        # for \`man sealift\``;

export function addMan(program: Command, output: Output): void {
  program
    .command('man')
    .summary('print the manual page')
    .description('Prints the manual page of all commands, as troff for man.')
    .addHelpText('after', EXAMPLES)
    .action(() => output.print(manualOf(program).trimEnd()));
}

/** All of the program's help as one page. */
export function manualOf(program: Command): string {
  const help = program.createHelp();
  const name = program.name();
  const description = program.description();
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${versionOf().version}" "User Commands"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `.B ${plain(name)}`,
    plain('COMMAND [options] ARGUMENTS'),
    '.SH DESCRIPTION',
    plain(program.description()),
    '.SH OPTIONS',
    ...optionsOf(program, help),
    '.SH COMMANDS',
    ...help.visibleCommands(program).flatMap((command) => sectionOf(command, help)),
    '.SH ENVIRONMENT AND EXIT STATUS',
    plain(textAfter(program).trim()),
    '',
  ].join('\n');
}

function sectionOf(command: Command, help: Help): string[] {
  const terms = help.visibleArguments(command).map((argument) => {
    return term(help.argumentTerm(argument), help.argumentDescription(argument));
  });
  return [
    `.SS ${plain(help.commandUsage(command))}`,
    plain(command.description()),
    ...terms,
    ...optionsOf(command, help),
    '.PP',
    ...asWritten(textAfter(command).trim()),
  ];
}

/** Options under the headings of their groups, in the order of the help. */
function optionsOf(command: Command, help: Help): string[] {
  const groups = Map.groupBy(help.visibleOptions(command), ({ helpGroupHeading }) => helpGroupHeading);
  return [...groups].flatMap(([heading, options]) => [
    ...(heading === undefined ? [] : ['.PP', `.I ${plain(heading)}`]),
    ...options.map((option) => term(help.optionTerm(option), help.optionDescription(option))),
  ]);
}

function term(name: string, description: string): string {
  return `.TP\n.B ${plain(name)}\n${plain(description)}`;
}

/** Examples keep their lines. */
function asWritten(text: string): string[] {
  return ['.EX', plain(text), '.EE'];
}

/** What stands below a command's options. Commander tells it only while it shows the help. */
function textAfter(command: Command): string {
  let shown = '';
  command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
  return shown.slice(command.helpInformation().length);
}

/** What troff would take for its own, or set as another sign: a quote that is copied must be the quote that was meant. */
const SIGNS: Record<string, string> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

/** Text that means itself. */
function plain(text: string): string {
  return text
    .replaceAll(/[\\\-'`^~]/g, (sign) => SIGNS[sign]!)
    .replaceAll(/^\./gm, '\\&.')
    .replaceAll(/\P{ASCII}/gu, (character) => {
      return `\\[u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`;
    });
}

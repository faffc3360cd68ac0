/** Completion for fish: a line for each command and each flag. */
import type { CommandWords, Value } from '../completion.ts';

export function fishScript([program, ...commands]: [CommandWords, ...CommandWords[]]): string {
  const { name } = program;
  const first = `complete -c ${name} -n __fish_use_subcommand`;
  const lines = [
    ...flagLines(name, first, program),
    ...commands.map((command) => `${first} -f -a ${command.name} -d ${quoted(command.summary)}`),
    ...commands.flatMap((command) => {
      const behind = `complete -c ${name} -n '__fish_seen_subcommand_from ${command.name}'`;
      const args = command.args.filter(({ kind }) => kind !== 'file').map((arg) => `${behind} -f${wordsOf(name, arg)}`);
      return [...flagLines(name, behind, command), ...args];
    }),
  ];
  return `# Completion of ${name} for fish, as \`${name} completion fish\` prints it.
function __${name}_jobs
    ${name} jobs 2>/dev/null | string match -r '^\\S+(?=  )'
end

${lines.join('\n')}
`;
}

/** A line for each flag, of which `start` says whose they are. */
function flagLines(program: string, start: string, { flags }: CommandWords): string[] {
  return flags.map(({ names, summary, value }) => {
    const named = names.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
    return `${start} ${named.join(' ')}${value ? takes(program, value) : ''} -d ${quoted(summary)}`;
  });
}

/** What a flag takes: files, or what we say and no files. */
function takes(program: string, value: Value): string {
  return value.kind === 'file' ? ' -r -F' : ` -x${wordsOf(program, value)}`;
}

function wordsOf(program: string, { kind, words }: Value): string {
  if (kind === 'word') return ` -a ${quoted(words.join(' '))}`;
  if (kind === 'folder') return ` -a '(__fish_complete_directories)'`;
  if (kind === 'job') return ` -a '(__${program}_jobs)'`;
  return '';
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}

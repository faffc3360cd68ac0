/** Completion for zsh, by its `_arguments`. Works from a folder of $fpath, and where it is sourced. */
import type { CommandWords, FlagWords, Value } from '../completion.ts';

export function zshScript([program, ...commands]: [CommandWords, ...CommandWords[]]): string {
  const { name } = program;
  return `#compdef ${name}
# Completion of ${name} for zsh, as \`${name} completion zsh\` prints it.

_${name}_jobs() {
  local -a jobs=(\${(f)"$(${name} jobs 2>/dev/null | sed -n 's/^\\([^ ]\\{1,\\}\\)  .*/\\1/p')"})
  compadd -a jobs
}

_${name}_commands() {
  local -a commands=(
${commands.map((command) => `    ${quoted(`${command.name}:${command.summary}`)}`).join('\n')}
  )
  _describe command commands
}

_${name}() {
  if (( CURRENT == 2 )); then
    _arguments \\
${program.flags.flatMap((flag) => flagSpecs(name, flag)).join(' \\\n')} \\
      ':command:_${name}_commands'
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${commands.map((command) => commandCase(name, command)).join('\n')}
  esac
}

if [[ $funcstack[1] == _${name} ]]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`;
}

function commandCase(program: string, { name, flags, args }: CommandWords): string {
  const specs = [
    ...flags.flatMap((flag) => flagSpecs(program, flag)),
    ...args.map((arg) => `      ${quoted(`:${arg.name}:${actionOf(program, arg)}`)}`),
  ];
  return `    ${name})\n      _arguments \\\n${specs.join(' \\\n')}\n      ;;`;
}

/** A flag that takes something may be there again, for most of them may be repeated. */
function flagSpecs(program: string, { names, summary, value }: FlagWords): string[] {
  const told = `[${summary.replaceAll(/[[\]\\:]/g, '\\$&')}]`;
  const rest = value ? `:${value.name}:${actionOf(program, value)}` : '';
  return names.map((flag) => `      ${quoted(`${value ? '*' : ''}${flag}${told}${rest}`)}`);
}

function actionOf(program: string, { kind, words }: Value): string {
  const actions = {
    file: '_files',
    folder: '_files -/',
    job: `_${program}_jobs`,
    word: `(${words.join(' ')})`,
    text: ' ',
  };
  return actions[kind];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

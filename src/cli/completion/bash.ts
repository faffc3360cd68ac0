/** Completion for bash. What the function leaves empty, bash completes with names of files. */
import type { CommandWords, Value } from '../completion.ts';

export function bashScript([program, ...commands]: [CommandWords, ...CommandWords[]]): string {
  const { name } = program;
  const first = [...commands.map((command) => command.name), ...flagsOf(program)];
  return `# Completion of ${name} for bash, as \`${name} completion bash\` prints it.
_${name}_words() {
  COMPREPLY=($(compgen -W "$1" -- "\${COMP_WORDS[COMP_CWORD]}"))
}

_${name}_folders() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -d -- "\${COMP_WORDS[COMP_CWORD]}"))
}

_${name}_nothing() {
  compopt +o default 2>/dev/null
}

_${name}_jobs() {
  _${name}_words "$(${name} jobs 2>/dev/null | sed -n 's/^\\([^ ]\\{1,\\}\\)  .*/\\1/p')"
}

_${name}() {
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _${name}_words '${first.join(' ')}'
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${commands.flatMap((command) => flagCases(name, command)).join('\n')}
  *)
    case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD]}" in
${commands.flatMap((command) => wordCases(name, command)).join('\n')}
    esac
    ;;
  esac
}

complete -o default -F _${name} ${name}
`;
}

function flagsOf({ flags }: CommandWords): string[] {
  return flags.flatMap(({ names }) => names);
}

/** What follows a flag that takes something. */
function flagCases(program: string, { name, flags }: CommandWords): string[] {
  return flags.flatMap(({ names, value }) => {
    if (!value) return [];
    return names.map((flag) => `  '${name} ${flag}') ${replyOf(program, value)} ;;`);
  });
}

/** What can stand anywhere else: a flag, or what the command works on. */
function wordCases(program: string, command: CommandWords): string[] {
  const { name, args } = command;
  const cases = [`    '${name} -'*) _${program}_words '${flagsOf(command).join(' ')}' ;;`];
  const known = args.find(({ kind }) => kind !== 'file');
  if (known) cases.push(`    '${name} '*) ${replyOf(program, known)} ;;`);
  return cases;
}

function replyOf(program: string, { kind, words }: Value): string {
  const replies = {
    file: ':',
    folder: `_${program}_folders`,
    job: `_${program}_jobs`,
    word: `_${program}_words '${words.join(' ')}'`,
    text: `_${program}_nothing`,
  };
  return replies[kind];
}

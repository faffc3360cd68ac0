/**
 * `sealift completion SHELL`: what a shell needs to complete our commands, their flags and what those take. All of it
 * comes from the commands as they are defined; there is no second list. The scripts are static: a TAB starts no process
 * of ours, but where a job's id is wanted.
 */
import { Argument, type Command, type Option } from 'commander';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { zshScript } from './completion/zsh.ts';
import type { Output } from './output.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** What can stand in a place: files, folders, ids of jobs, one of `words`, or text that nobody can guess. */
export interface Value {
  name: string;
  kind: 'file' | 'folder' | 'job' | 'word' | 'text';
  words: readonly string[];
}

export interface FlagWords {
  /** As they are typed, the short one first: `-q`, `--quiet`. */
  names: string[];
  summary: string;
  /** Undefined of a switch. */
  value: Value | undefined;
}

export interface CommandWords {
  name: string;
  summary: string;
  flags: FlagWords[];
  args: Value[];
}

const EXAMPLES = `
Examples:
  $ sealift completion bash > ~/.local/share/bash-completion/completions/sealift
  $ sealift completion zsh > ~/.zfunc/_sealift        # a folder of $fpath
  $ sealift completion fish > ~/.config/fish/completions/sealift.fish`;

export function addCompletion(program: Command, output: Output): void {
  program
    .command('completion')
    .summary('print the completion script of a shell')
    .description('Prints what bash, zsh or fish need to complete commands, flags, files and ids of jobs.')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', EXAMPLES)
    .action((shell: keyof typeof SCRIPTS) => output.print(SCRIPTS[shell](wordsOf(program)).trimEnd()));
}

/** The program itself, whose flags stand before any command, and then the commands. */
export function wordsOf(program: Command): [CommandWords, ...CommandWords[]] {
  const help = program.createHelp();
  const words = (command: Command): CommandWords => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    flags: help.visibleOptions(command).map(flagWords),
    args: help.visibleArguments(command).map((argument) => valueFor(argument.name(), argument.argChoices, 'file')),
  });
  return [words(program), ...help.visibleCommands(program).map(words)];
}

function flagWords(option: Option): FlagWords {
  const { short, long, description, flags, argChoices } = option;
  const [, name] = /[<[](.+?)[>\]]/.exec(flags) ?? [];
  return {
    names: [short, long].filter((flag) => flag !== undefined),
    summary: description,
    value: name === undefined ? undefined : valueFor(name, argChoices, 'text'),
  };
}

function valueFor(name: string, words: readonly string[] = [], otherwise: Value['kind']): Value {
  const kinds: Record<string, Value['kind']> = { file: 'file', dir: 'folder', job: 'job' };
  return { name, kind: words.length > 0 ? 'word' : (kinds[name] ?? otherwise), words };
}

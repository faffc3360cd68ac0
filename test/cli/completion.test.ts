/** What the shells themselves make of the completion scripts. Bash is everywhere; zsh and fish are asked where there are any. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { wordsOf } from '../../src/cli/completion.ts';
import { programFor } from '../../src/cli/main.ts';
import { Output } from '../../src/cli/output.ts';
import { runHere } from '../support/here.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
mkdirSync(join(folder, 'a folder'));
writeFileSync(join(folder, 'a file'), '');
/** Stands for the command, where a shell asks it for its jobs. */
writeFileSync(join(folder, 'sealift'), `#!/bin/sh\nprintf 'put-a1  interrupted\\n    put - -> x\\nget-b2  done\\n'\n`, {
  mode: 0o755,
});
afterAll(() => rmSync(folder, { recursive: true }));

const words = wordsOf(programFor(new Output({})));
const [program, ...commands] = words;
const named = ({ flags }: (typeof words)[number]) => flags.flatMap(({ names }) => names);

interface Case {
  /** What is typed after `sealift `, the last word being the one to complete. */
  typed: string[];
  expected: string[];
}

/** Every command, every flag, and what every flag takes. */
const cases: Case[] = [
  { typed: [''], expected: [...commands.map(({ name }) => name), ...named(program)] },
  ...commands.flatMap((command) => [
    { typed: [command.name, '-'], expected: named(command) },
    ...command.flags.flatMap(({ names, value }) =>
      value?.kind === 'word'
        ? names.map((flag) => ({ typed: [command.name, flag, ''], expected: [...value.words] }))
        : [],
    ),
  ]),
  { typed: ['get', '--state-dir', 'a'], expected: ['a folder'] },
  { typed: ['completion', ''], expected: ['bash', 'zsh', 'fish'] },
  { typed: ['cancel', ''], expected: ['put-a1', 'get-b2'] },
  { typed: ['resume', 'g'], expected: ['get-b2'] },
];

/** Runs a script of a shell in the folder; its standard output, and nothing on standard error. */
function shell(name: string, args: string[], script: string): string {
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, HOME: folder };
  const { stdout, stderr } = spawnSync(name, args, { input: script, cwd: folder, env, encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

const has = (name: string) => spawnSync(name, ['--version']).error === undefined;

test('the words come from every command there is', () => {
  expect(commands.length).toBeGreaterThan(8);
  expect(cases.length).toBeGreaterThan(15);
});

test('bash', () => {
  const asks = cases.map(({ typed }) => {
    const quoted = typed.map((word) => `'${word}'`).join(' ');
    return `COMP_WORDS=(sealift ${quoted}); COMP_CWORD=${typed.length}; _sealift; (IFS='|'; echo "\${COMPREPLY[*]}")`;
  });
  const answers = shell('bash', [], [bashScript(words), ...asks].join('\n'))
    .trimEnd()
    .split('\n');
  expect(answers.map((answer) => answer.split('|'))).toEqual(cases.map(({ expected }) => expected));
});

test.skipIf(!has('fish'))('fish (skipped where there is none)', () => {
  const asks = cases.map(
    ({ typed }) => `string join -- '|' (complete -C 'sealift ${typed.join(' ')}' | string split -f1 \\t)`,
  );
  const answers = shell('fish', ['--no-config'], [fishScript(words), ...asks].join('\n'))
    .trimEnd()
    .split('\n');
  const sorted = answers.map((answer) =>
    answer
      .split('|')
      .map((word) => word.replace(/\/$/, ''))
      .toSorted(),
  );
  // Fish offers flags once there is a dash.
  const offered = ({ typed, expected }: Case) =>
    typed.at(-1) === '-' ? expected : expected.filter((word) => word[0] !== '-');
  expect(sorted).toEqual(cases.map((one) => offered(one).toSorted()));
});

test.skipIf(!has('zsh'))('zsh (skipped where there is none): what its _arguments is told', () => {
  const asks = commands.map(({ name }) => `words=(sealift ${name} ''); CURRENT=3; print '== ${name}'; _sealift`);
  const stubs = 'compdef() { }; _arguments() { print -rl -- "$@" }';
  const told = shell('zsh', ['-f'], [stubs, zshScript(words), ...asks].join('\n'))
    .split(/^== /m)
    .slice(1);
  for (const [index, command] of commands.entries()) {
    const flags = [...told[index]!.matchAll(/^\*?(-[^[]+)\[/gm)].map(([, flag]) => flag);
    expect(flags, command.name).toEqual(named(command));
  }
});

test('the command prints them', async () => {
  const [bash, other] = await Promise.all([runHere(['completion', 'bash']), runHere(['completion', 'tcsh'])]);
  expect(bash.stdout).toContain('complete -o default -F _sealift sealift');
  expect(other).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('(usage)') });
});

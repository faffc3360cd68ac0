/** Errors are told alike wherever they come from: a message is a sentence without its full stop, a hint is sentences. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { programFor } from '../../src/cli/main.ts';
import { Output } from '../../src/cli/output.ts';

const root = join(import.meta.dirname, '../..');
const sources = globSync('src/**/*.ts', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8'));

/** The texts that `pattern` finds behind it, as they are written, placeholders and all. */
function textsAfter(pattern: string): string[] {
  const text = new RegExp(`${pattern}\\s*(?:'((?:\\\\.|[^'\\\\])*)'|"([^"]*)"|\`((?:\\\\.|[^\`\\\\])*)\`)`, 'g');
  return sources.flatMap((source) => [...source.matchAll(text)].map(([, ...quoted]) => quoted.join('')));
}

describe('errors', () => {
  const messages = textsAfter(`new SealiftError\\(\\s*'[a-z-]+',`);
  const hints = textsAfter('\\bhint:');

  test('there are some to look at', () => {
    expect(messages.length).toBeGreaterThan(60);
    expect(hints.length).toBeGreaterThan(60);
  });

  test('a message begins with a capital letter or a name, and has no full stop', () => {
    expect(messages.filter((text) => /^[a-z]/.test(text) || text.endsWith('.'))).toEqual([]);
  });

  test('a hint begins with a capital letter or a command, and ends with a full stop', () => {
    expect(hints.filter((text) => /^[a-z]/.test(text) || !/[.}]$/.test(text))).toEqual([]);
  });

  test('none sends the reader to a command that is not there', () => {
    const named = [...messages, ...hints].flatMap((text) =>
      [...text.matchAll(/\bsealift ([a-z]+)/g)].map(([, name]) => name!),
    );
    const commands = programFor(new Output({})).commands.map((command) => command.name());
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !commands.includes(name))).toEqual([]);
  });
});

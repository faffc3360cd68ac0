/**
 * Pipes into a put: standard input, or a command whose output it is. A chunk's memory is given back as soon as the
 * reader asks for the next one: the collector would let hundreds of megabytes of them pile up.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { SealiftError } from '../errors.ts';
import { release } from '../formats/release.ts';

export interface Pipe extends AsyncIterable<Uint8Array>, Disposable {
  /** In the words of the user. */
  name: string;
}

export function standardInput(): Pipe {
  return {
    name: 'standard input',
    [Symbol.asyncIterator]: () => chunksOf(process.stdin),
    // A silent one would keep the process.
    [Symbol.dispose]: () => void process.stdin.destroy(),
  };
}

/**
 * What `command` writes. A shell runs it once the first byte is wanted. Its output has ended only when it has said that
 * all went well: the bytes of a command that fails end in `source-failed`.
 */
export function outputOf(command: string): Pipe {
  if (command.trim() === '') {
    throw new SealiftError('usage', '--from-command is given no command', {
      hint: 'Name one that writes what is to be sealed to its standard output.',
    });
  }
  const ending = new AbortController();

  async function* run(): AsyncGenerator<Uint8Array> {
    const child = spawn(command, { shell: true, stdio: ['inherit', 'pipe', 'inherit'], signal: ending.signal });
    ending.signal.addEventListener('abort', () => child.stdout.destroy());
    const closed = once(child, 'close');
    // Who reads to the end hears of it below.
    closed.catch(() => {});
    yield* chunksOf(child.stdout);
    const [status, signal] = await closed;
    if (status !== 0) throw commandFailed(signal ? `was ended by ${signal}` : `ended with status ${status}`);
  }

  return { name: `\`${command}\``, [Symbol.asyncIterator]: run, [Symbol.dispose]: () => ending.abort() };
}

async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield chunk;
    release(chunk);
  }
}

function commandFailed(how: string): SealiftError {
  return new SealiftError('source-failed', `The command that makes the bytes ${how}`, {
    hint: 'Nothing was completed. Mend the command, and run all of it again.',
  });
}

/**
 * The command line in the process of the test itself: all of it but the door, `bin.ts`, for a tenth of the CPU of a
 * process. What is about signals, pipes, crashes or memory needs one, and so does what the recorder is to see: `run` of
 * cli.ts starts it.
 */
import type { EventEmitter } from 'node:events';
import { main } from '../../src/cli/main.ts';
import { lastOf, lineOf, type Outcome, type RunOptions } from './cli.ts';

/** Commands share what a process has one of: its folder, its environment, its standard output. So one waits for another. */
let last: Promise<unknown> = Promise.resolve();

/** Runs `sealift ARGS` to its end, as `run` does, with the same outcome. */
export function runHere(args: string[], options: Pick<RunOptions, 'cwd' | 'env'> = {}): Promise<Outcome> {
  const outcome = last.then(() => runAlone(args, options));
  last = outcome.catch(() => undefined);
  return outcome;
}

async function runAlone(args: string[], { cwd = process.cwd(), env = {} }: RunOptions): Promise<Outcome> {
  const { exitCode } = process;
  using _ = undoAll([
    enter(cwd),
    setEnvironment({ NO_COLOR: '1', ...env }),
    ...[process, process.stdout, process.stderr].map(keepListeners),
    () => {
      process.exitCode = exitCode;
    },
  ]);
  using stdout = new Taken(process.stdout);
  using stderr = new Taken(process.stderr);
  process.exitCode = undefined;
  await main(args);
  const exit = Number(process.exitCode ?? 0);
  const lines = stdout.text
    .split('\n')
    .map(lineOf)
    .filter((line) => line !== undefined);
  return { exit, signal: null, lines, stdout: stdout.text, stderr: stderr.text, last: lastOf(lines) };
}

type Undo = () => void;

function undoAll(undos: Undo[]): Disposable {
  return {
    [Symbol.dispose]() {
      for (const undo of undos) undo();
    },
  };
}

function enter(folder: string): Undo {
  const before = process.cwd();
  process.chdir(folder);
  return () => process.chdir(before);
}

/** Sets variables, and removes those that are undefined. */
function setEnvironment(env: Record<string, string | undefined>): Undo {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  const set = ([name, value]: readonly [string, string | undefined]) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  Object.entries(env).forEach(set);
  return () => before.forEach(set);
}

/** A command leaves its listeners to the end of its process. */
function keepListeners(emitter: EventEmitter): Undo {
  const before = new Map(emitter.eventNames().map((name) => [name, emitter.rawListeners(name)]));
  return () => {
    for (const name of emitter.eventNames()) {
      for (const listener of emitter.rawListeners(name)) {
        if (!before.get(name)?.includes(listener)) emitter.removeListener(name, listener as () => void);
      }
    }
  };
}

/** What is written to a stream, in the stream's place. */
class Taken implements Disposable {
  text = '';
  readonly #stream: NodeJS.WriteStream;
  readonly #write: NodeJS.WriteStream['write'];

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#write = stream.write;
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      this.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      const done = rest.at(-1);
      if (typeof done === 'function') process.nextTick(done);
      return true;
    };
  }

  [Symbol.dispose](): void {
    this.#stream.write = this.#write;
  }
}

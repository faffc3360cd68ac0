/** What `npm run bench` is asked for. All of it is read, records too, before anything runs; what is wrong is one line. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SealiftError } from '../../src/errors.ts';
import { formatSize, MiB, parseSize } from '../../src/units.ts';
import { type Record, readRecord } from './record.ts';

export const HELP = `Usage: npm run bench -- [OPTIONS]

  --only PATTERN    of the names that match, such as 'put/|get/'; also of growth/, memory/ and old/, which are left out otherwise
  --rounds N        so many of each (default 5)
  --size SIZE       what goes through each, in steps of 16MiB (default 1GiB)
  --objects N       small objects, for what has to do with many (default 10000)
  --compare FILE    what got worse beyond the noise since that run; then the status is 1
  --show FILE       print what --json or the cache has kept, and measure nothing
  --json FILE       keep every sample there (default: in node_modules/.cache/bench)
  --peers DIR       where bench/peers has put other programs (default: node_modules/.cache/peers)
  --help            this

All that is not left out takes some twenty minutes. bench/run.ts tells how to read the figures.`;

/** Where nothing else is said, what is kept and what was fetched are here. */
export const CACHE = join(import.meta.dirname, '../../node_modules/.cache');

/** So that two threads have whole parts of 8 MiB, and the same number of them. */
const SIZE_STEP = 16 * MiB;

export interface Options {
  only: RegExp | undefined;
  rounds: number;
  size: number;
  objectCount: number;
  json: string | undefined;
  compare: Record | undefined;
  show: Record | undefined;
  peers: string;
  help: boolean;
}

/** Throws `usage`, `bad-option`, `bad-size`. */
export function readOptions(args: readonly string[]): Options {
  const { only, rounds, size, objects, json, compare, show, peers, help } = parsed(args);
  return {
    only: only === undefined ? undefined : patternOf(only),
    rounds: countOf('--rounds', rounds),
    size: sizeOf(size),
    objectCount: countOf('--objects', objects),
    json: json === undefined ? undefined : resolve(json),
    compare: compare === undefined ? undefined : readRecord(resolve(compare)),
    show: show === undefined ? undefined : readRecord(resolve(show)),
    peers: resolve(peers),
    help,
  };
}

function parsed(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        rounds: { type: 'string', default: '5' },
        size: { type: 'string', default: '1GiB' },
        objects: { type: 'string', default: '10000' },
        json: { type: 'string' },
        compare: { type: 'string' },
        show: { type: 'string' },
        peers: { type: 'string', default: join(CACHE, 'peers') },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new SealiftError('usage', line!, { cause: error });
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new SealiftError('bad-option', `--only: ${(error as Error).message}`, { cause: error });
  }
}

function countOf(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new SealiftError('bad-option', `${name}: expected a whole number above 0, got ${JSON.stringify(text)}`);
}

function sizeOf(text: string): number {
  const value = parseSize(text, '--size');
  if (value > 0 && value % SIZE_STEP === 0) return value;
  throw new SealiftError('bad-size', `--size: expected a multiple of ${formatSize(SIZE_STEP)}, got ${text}`);
}

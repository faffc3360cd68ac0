/**
 * Which code ran, as the engine counted it: for a program that runs without a test runner between, so that offsets are
 * those of the sources.
 */
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { pathToFileURL } from 'node:url';

/** A piece of a source that did not run. */
export interface Unreached {
  file: string;
  line: number;
  /** Name of the function or class at the file's top level that it is part of. */
  within: string;
  text: string;
}

export interface Coverage {
  /** Blocks of the files that were counted, and how many of them ran. */
  blocks: number;
  reached: number;
  unreached: Unreached[];
}

/** Counts from now on: call it before the files in question are imported. */
export async function startCoverage(): Promise<{ take: (files: readonly string[]) => Promise<Coverage> }> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  return {
    async take(files) {
      const { result } = await session.post('Profiler.takePreciseCoverage');
      session.disconnect();
      const coverage: Coverage = { blocks: 0, reached: 0, unreached: [] };
      for (const file of files) {
        const script = result.find(({ url }) => url === pathToFileURL(file).href);
        if (!script) throw new Error(`${file} was not loaded`);
        const source = readFileSync(file, 'utf8');
        const ranges = script.functions.flatMap((some) => some.ranges);
        coverage.blocks += ranges.length;
        for (const { count, startOffset, endOffset } of ranges) {
          if (count > 0) coverage.reached++;
          else coverage.unreached.push({ file, ...placeOf(source, startOffset, endOffset) });
        }
      }
      return coverage;
    },
  };
}

function placeOf(source: string, start: number, end: number): Omit<Unreached, 'file'> {
  // A function's range begins behind `export`.
  const lines = source.slice(0, source.indexOf('\n', start)).split('\n');
  const line = source.slice(0, start).split('\n').length;
  const names = lines.map((text) => /^(?:export )?(?:function\*?|class) (\w+)/.exec(text)?.[1]);
  return { line, within: names.findLast((name) => name !== undefined) ?? '', text: source.slice(start, end).trim() };
}

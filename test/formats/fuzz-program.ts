/**
 * The fuzzer as a program: `node test/formats/fuzz-program.ts COUNT SEED`. Prints a JSON line every so many messages, so
 * that whoever started it can tell a hang, and at the end its report with what no message reached in the readers. A
 * finding ends it with an error.
 */
import { join, relative } from 'node:path';
import { startCoverage } from '../support/coverage.ts';

/** Messages between two lines. */
const STRIDE = 1000;

const root = join(import.meta.dirname, '../..');
const readers = ['context', 'cursor', 'field', 'frame', 'header', 'keys', 'layout', 'open-frames', 'open-message'];
const files = [...readers, 'signature', 'suites'].map((name) => join(root, `src/formats/esdk/${name}.ts`));

const [count, seed] = process.argv.slice(2).map(Number) as [number, number];
const coverage = await startCoverage();
const { fuzz } = await import('./fuzz.ts');
let done = 0;
const report = fuzz({
  seed,
  count,
  onMessage(about) {
    if (done++ % STRIDE === 0) console.log(JSON.stringify({ done, about }));
  },
});
const { unreached, ...counts } = await coverage.take(files);
const lines = unreached.map(({ file, ...place }) => ({ file: relative(root, file), ...place }));
console.log(JSON.stringify({ ...report, coverage: { ...counts, unreached: lines }, peakRssBytes: peak() }));

function peak(): number {
  return process.resourceUsage().maxRSS * 1024;
}

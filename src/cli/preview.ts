/** `migrate --dry-run`: each object's decision on a line, and how many of a kind there are. */
import { EXIT } from '../errors.ts';
import type { Decision } from '../index.ts';
import { formatSize } from '../units.ts';
import { counted, type Output, visible } from './output.ts';

type Counts = Record<Decision['would'], { objects: number; bytes: number }>;

/** Resolves to the exit status: that of the migration, where nothing else happens to it. */
export async function tellDecisions(output: Output, decisions: AsyncIterable<Decision>): Promise<number> {
  const none = () => ({ objects: 0, bytes: 0 });
  const counts: Counts = { seal: none(), restore: none(), replace: none(), skip: none(), refuse: none() };
  for await (const decision of decisions) {
    output.json({ type: 'decision', ...decision });
    output.print(lineOf(decision));
    const count = counts[decision.would];
    count.objects++;
    count.bytes += decision.size;
  }
  output.json({ type: 'result', command: 'migrate', dryRun: true, ...counts });
  output.say(`${sumOf(counts)}. Nothing was touched.`);
  return counts.refuse.objects > 0 ? EXIT.warnings : EXIT.done;
}

/** `refuse    12.0 MiB  2026/a.jpg  (target-exists: …)`. */
function lineOf({ would, size, name, code, message }: Decision): string {
  const why = [code, message].filter((text) => text !== undefined).join(': ');
  const line = `${would.padEnd(7)} ${formatSize(size).padStart(11)}  ${name}${why === '' ? '' : `  (${why})`}`;
  return visible(line).replaceAll('\n', '\\n');
}

/** `Would seal 20 objects (1.5 GiB), skip 2 objects (10 B)`. */
function sumOf(counts: Counts): string {
  const facts = Object.entries(counts)
    .filter(([, { objects }]) => objects > 0)
    .map(([would, { objects, bytes }]) => `${would} ${counted(objects, 'object')} (${formatSize(bytes)})`);
  return facts.length === 0 ? 'There is nothing to move' : `Would ${facts.join(', ')}`;
}

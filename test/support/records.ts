/**
 * What the recorder wrote, judged: no counter block of a key may ever seal two plaintexts, and none may mask the tags of
 * two additional data.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Note {
  key: string;
  /** The block that masks the tag, in hexadecimal: 12 bytes, then a number in 4. */
  counter: string;
  additional: string;
  plain: string;
  size: number;
}

/** Violations in words, and how many sealing calls were looked at: a check over nothing proves nothing. */
export function checkRecords(folder: string): { calls: number; violations: string[] } {
  const seen = new Map<string, Note>();
  const violations: string[] = [];
  let calls = 0;
  for (const name of readdirSync(folder)) {
    // A process killed while it wrote leaves half a line; that call's result was never used.
    const lines = readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1);
    for (const line of lines) {
      const note: Note = JSON.parse(line);
      calls++;
      const id = `${note.key}:${note.counter}`;
      const before = seen.get(id);
      if (!before) seen.set(id, note);
      else if (before.plain !== note.plain) violations.push(`counter ${note.counter} sealed two plaintexts`);
      else if (before.additional !== note.additional)
        violations.push(`counter ${note.counter} authenticated two contexts`);
    }
  }
  return { calls, violations: [...violations, ...overlaps([...seen.values()])] };
}

/** Calls that begin at different counters and meet: they seal different bytes with one block. */
function overlaps(notes: Note[]): string[] {
  const violations: string[] = [];
  const ranges = notes
    .filter(({ size }) => size > 0)
    .map(({ key, counter, size }) => {
      const first = Number.parseInt(counter.slice(24), 16) + 1;
      return { stream: `${key}:${counter.slice(0, 24)}`, first, last: first + Math.ceil(size / 16) - 1 };
    })
    .sort((a, b) => (a.stream === b.stream ? a.first - b.first : a.stream < b.stream ? -1 : 1));
  for (let index = 1, end = ranges[0]; index < ranges.length; index++) {
    const range = ranges[index]!;
    const meets = end!.stream === range.stream && range.first <= end!.last;
    if (meets) violations.push(`counters from ${range.first} on sealed two plaintexts`);
    if (!meets || range.last > end!.last) end = range;
  }
  return violations;
}

/** What the recorder wrote, judged: no (key, nonce) may ever meet two plaintexts or two additional data. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Note {
  key: string;
  nonce: string;
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
      const id = `${note.key}:${note.nonce}`;
      const before = seen.get(id);
      if (!before) seen.set(id, note);
      else if (before.plain !== note.plain) violations.push(`nonce ${note.nonce} sealed two plaintexts`);
      else if (before.additional !== note.additional) violations.push(`nonce ${note.nonce} authenticated two contexts`);
    }
  }
  return { calls, violations };
}

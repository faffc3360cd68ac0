/** What people see of a job of many objects, on a terminal and in a log. */
import { afterEach, expect, test, vi } from 'vitest';
import { movingLineWithin, objectsLine, objectsLineWithin } from '../../src/cli/objects-progress.ts';
import { Output } from '../../src/cli/output.ts';
import { ProgressReport } from '../../src/cli/progress.ts';
import { MiB } from '../../src/units.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const failures = new Map([
  ['source-changed', 1],
  ['access-denied', 1200],
]);
const full = { listed: 5000, done: 1234, skipped: 3, failed: 1201, listing: true, failures, throttles: 6 };

test('objects are counted, and failures by their codes, most first', () => {
  const none = { ...full, skipped: 0, failed: 0, listing: false, failures: new Map(), throttles: 0 };
  expect(objectsLine(none)).toBe('1,234 of 5,000 objects done');
  expect(objectsLine(full)).toBe(
    '1,234 of 5,000 objects so far done, 3 skipped, 1,201 failed, 1,200 by access-denied, 1 by source-changed, 6 requests throttled',
  );
});

test('what has no room is left away, the last facts first', () => {
  expect(objectsLineWithin(full, 60)).toBe('1,234 of 5,000 objects so far done, 3 skipped, 1,201 failed');
  expect(objectsLineWithin(full, 36)).toBe('1,234 of 5,000 objects so far done');
  expect(objectsLineWithin(full, 10)).toBe('');
});

test('what is on its way is told by number and name, and KMS calls against what is allowed', () => {
  const large = ['db.tar', `${'deep/'.repeat(10)}a\u202e\n.mov`];
  const seen = { ...full, moving: { small: 1280, large }, kms: { calls: 4, perSecond: 0.4567 }, kmsPerSecond: 2000 };
  const line =
    '4 KMS calls (0.46 of 2,000 a second), on their way 1,280 small objects, db.tar, …ep/deep/deep/deep/a\\u202e\\n.mov';
  expect(movingLineWithin(seen, 200)).toBe(line);
  expect(movingLineWithin(seen, 80)).toBe(line.slice(0, line.lastIndexOf(',')));
  expect(movingLineWithin({ ...seen, kmsPerSecond: undefined, moving: { small: 0, large: ['a'] } }, 80)).toBe(
    'on their way a',
  );
  expect(movingLineWithin(full, 80)).toBe('');
});

test('where there is no terminal a line comes every 30 seconds, and none of a job of one object', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  const output = new Output({});
  vi.spyOn(output, 'hasStatusLine', 'get').mockReturnValue(false);
  const moved = { ackedBytes: 64 * MiB, totalBytes: 256 * MiB, reusedBytes: 16 * MiB, kmsCalls: 1, seconds: 1 };
  {
    using one = new ProgressReport(output);
    one.hear({ type: 'progress', ...moved });
    vi.advanceTimersByTime(100_000);
  }
  expect(lines).toEqual([]);
  using many = new ProgressReport(output);
  const objects = { listed: 9, done: 4, failed: 1, skipped: 0, listing: false };
  many.hear({ type: 'progress', ...moved, objects });
  many.hear({ type: 'object', name: 'a', size: 1, outcome: 'failed', code: 'access-denied', message: 'denied' });
  many.hear({ type: 'retry', call: 'PutObject', reason: 'SlowDown', throttled: true });
  vi.advanceTimersByTime(29_000);
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(61_000);
  const line =
    '64 MiB of 256 MiB, 16 MiB kept; 4 of 9 objects done, 1 failed, 1 by access-denied, 1 request throttled\n';
  expect(lines).toEqual([line, line, line]);
});

/** What the benchmarks make of their samples: which rounds they run, what they call a change, and what they hold to be kept. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { BOUNDS, type Bound, judge } from '../../bench/bounds.ts';
import { GROUPS, isNamed } from '../../bench/groups.ts';
import type { Case, Figure, Measured } from '../../bench/harness/case.ts';
import { changesBetween } from '../../bench/harness/compare.ts';
import { readOptions } from '../../bench/harness/options.ts';
import { groupText, verdictsText } from '../../bench/harness/print.ts';
import { type Record, writeRecord } from '../../bench/harness/record.ts';
import { runRounds } from '../../bench/harness/rounds.ts';
import { summaryOf } from '../../bench/harness/statistics.ts';
import { GiB } from '../../src/units.ts';

const measured = (name: string, figure: Figure, values: number[]): Measured => ({
  name,
  samples: values.map((value) => ({ [figure]: value })),
});

describe('a summary', () => {
  test.each([
    { values: [7], median: 7, lowerQuartile: 7, upperQuartile: 7 },
    { values: [3, 1], median: 2, lowerQuartile: 1.5, upperQuartile: 2.5 },
    { values: [5, 1, 4, 2, 3], median: 3, lowerQuartile: 2, upperQuartile: 4 },
    { values: [10, 9, 1000, 8], median: 9.5, lowerQuartile: 8.75, upperQuartile: 257.5 },
  ])('of $values', ({ values, ...expected }) => {
    expect(summaryOf(values)).toEqual({ count: values.length, ...expected });
  });
});

describe('a change', () => {
  const cpu = (...values: number[]) => [measured('put/sealift', 'cpu', values)];
  const kinds = (before: Measured[], now: Measured[]) => changesBetween(before, now).map(({ isWorse }) => isWorse);

  test('is one where the medians are further apart than the middle half of either run', () => {
    expect(kinds(cpu(1, 1.1, 1.2), cpu(1.5, 1.6, 1.7))).toEqual([true]);
    expect(kinds(cpu(1.5, 1.6, 1.7), cpu(1, 1.1, 1.2))).toEqual([false]);
  });

  test.each([
    ['within the noise of the run before', cpu(1, 1.5, 2), cpu(1.7, 1.7, 1.7)],
    ['within the noise of the run now', cpu(1.5, 1.5, 1.5), cpu(1, 1.9, 2)],
    ['within 2 %, without any noise', cpu(1, 1, 1), cpu(1.019, 1.019, 1.019)],
    ['of too few samples', cpu(1, 1), cpu(9, 9)],
    ['of what only one of them has', [measured('put/other', 'cpu', [1, 1, 1])], cpu(9, 9, 9)],
  ])('is none %s', (_, before, now) => {
    expect(kinds(before, now)).toEqual([]);
  });

  test('is for the worse where less is done in a second', () => {
    const objects = (...values: number[]) => [measured('many/sealift', 'objectsPerSecond', values)];
    expect(kinds(objects(900, 910, 920), objects(500, 510, 520))).toEqual([true]);
  });
});

describe('rounds', () => {
  function recorded(names: string[], rest: Partial<Case> = {}) {
    const log: string[] = [];
    const cases = names.map((name) => ({
      name,
      prepare: async () => void log.push(`prepare ${name}`),
      run: async (round: number) => {
        log.push(`${name}${round}`);
        return { cpu: round };
      },
      ...rest,
    }));
    return { log, group: { name: 'group', about: '', cases } };
  }

  test('let all cases take turns, every second one backwards', async () => {
    const { log, group } = recorded(['a', 'b']);
    const result = await runRounds({ ...group, warmUp: true }, () => true, { count: 2 });
    expect(log).toEqual(['prepare a', 'a0', 'prepare b', 'b0', 'a1', 'b1', 'b2', 'a2']);
    expect(result).toEqual([measured('group/a', 'cpu', [1, 2]), measured('group/b', 'cpu', [1, 2])]);
  });

  test('leave out what is not wanted, and say of what is not there that it was wanted', async () => {
    const { log, group } = recorded(['a', 'b'], { isThere: () => false });
    expect(await runRounds(group, (name) => name === 'group/b', { count: 2 })).toEqual([
      { name: 'group/b', samples: [] },
    ]);
    expect(log).toEqual([]);
  });
});

describe('bounds', () => {
  const half: Bound = { says: 'half', of: (at) => at('a', 'cpu') / at('b', 'cpu'), atMost: 0.5 };
  const a = measured('a', 'cpu', [1, 2, 3]);

  test('are judged by the median of the rounds’ ratios', () => {
    const [verdict] = judge([a, measured('b', 'cpu', [4, 4, 4])], [half]);
    expect(verdict).toMatchObject({ holds: true, value: { median: 0.5, count: 3 } });
    const broken = judge([a, measured('b', 'cpu', [3, 3, 3])], [half]);
    expect(verdictsText(broken, { size: GiB, objectCount: 10_000 })).toContain(
      '| half | at most 0.50 | 0.667 [0.500 0.833] | BROKEN |',
    );
  });

  test('are said not to be made for less', () => {
    const told = (size: number, objectCount: number) => verdictsText([], { size, objectCount });
    expect(told(2 * GiB, 10_000)).not.toContain('Promised of');
    expect(told(GiB / 2, 10_000)).toContain('1 GiB and 10000 small objects or more; here it was 512 MiB and 10000.');
    expect(told(GiB, 9999)).toContain('here it was 1 GiB and 9999.');
  });

  test('for every round are judged by the worst of them', () => {
    const b = measured('b', 'cpu', [4, 4, 4]);
    expect(judge([a, b], [{ ...half, isForEach: true }])[0]!.holds).toBe(false);
    expect(judge([a, b], [{ ...half, isForEach: true, atMost: 0.75 }])[0]!.holds).toBe(true);
  });

  test('have a least where they have no most', () => {
    const b = measured('b', 'cpu', [2, 2, 2]);
    const least = { says: 'least', of: half.of };
    expect(judge([a, b], [{ ...least, atLeast: 1 }])[0]).toMatchObject({ holds: true, limit: 'at least 1.00' });
    expect(judge([a, b], [{ ...least, atLeast: 1.1 }])[0]!.holds).toBe(false);
  });

  test('are not judged where a case was not run', () => {
    expect(judge([a], [half])).toEqual([]);
    expect(judge([a, { name: 'b', samples: [] }], [half])).toEqual([]);
  });

  test('speak of cases that there are', () => {
    const setting = { size: GiB, objectCount: 10, folder: '/nowhere', peers: '/nowhere' };
    const names = GROUPS.map((groupOf) => groupOf(setting)).flatMap((group) =>
      group.cases.map(({ name }) => `${group.name}/${name}`),
    );
    expect(names).toEqual([...new Set(names)]);
    const asked = new Set<string>();
    for (const { of } of BOUNDS) of((name) => asked.add(name).size);
    expect(asked.size).toBeGreaterThan(20);
    expect([...asked].filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('what is printed', () => {
  test('has a column for each figure that there is, and says what was not there', () => {
    const cases = [
      measured('put/a', 'cpu', [1, 2, 3]),
      measured('put/bcd', 'wall', [1234]),
      { name: 'put/e', samples: [] },
    ];
    const group = { name: 'put', about: 'A file', noise: { stealShare: 0.01, load: 2 }, cases };
    expect(groupText(group).split('\n')).toEqual([
      '## put',
      '',
      'A file. Steal 1.0 %, load 2.0.',
      'Not on this machine: put/e.',
      '',
      '|         | CPU s/GiB     | wall s/GiB |',
      '| ------- | ------------- | ---------- |',
      '| put/a   | 2 [1.50 2.50] |            |',
      '| put/bcd |               | 1234       |',
    ]);
  });
});

describe('what is asked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-bench-options-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const record: Record = {
    machine: { cpu: 'Canned', cores: 2, memoryBytes: GiB, system: 'linux', node: 'v24', openssl: '3' },
    commit: 'abc',
    date: '2026-11-24T15:00:00.000Z',
    size: GiB,
    objectCount: 10,
    rounds: 3,
    groups: [{ name: 'put', about: '', noise: { stealShare: null, load: 1 }, cases: [measured('put/a', 'cpu', [1])] }],
  };

  test('is read with the records it names', () => {
    const path = join(folder, 'record.json');
    writeRecord(path, record);
    const options = readOptions(['--show', path, '--compare', path, '--size', '32MiB', '--rounds', '3']);
    expect(options).toMatchObject({ show: record, compare: record, size: GiB / 32, rounds: 3, objectCount: 10_000 });
  });

  test.each([
    [['--rounds', 'many'], '--rounds: expected a whole number above 0, got "many"'],
    [['--rounds', '0'], '--rounds: expected a whole number above 0, got "0"'],
    [['--objects', '1.5'], '--objects: expected a whole number above 0, got "1.5"'],
    [['--size', '17MiB'], '--size: expected a multiple of 16 MiB, got 17MiB'],
    [['--size', 'large'], '--size is not a size in whole bytes: "large"'],
    [['--only', '('], '--only: Invalid regular expression'],
    [['--colour'], "Unknown option '--colour'"],
    [['put/'], "Unexpected argument 'put/'"],
    [['--show', '/nowhere/record'], '/nowhere/record cannot be read: ENOENT'],
  ])('%j is refused in one line', (args, message) => {
    expect(() => readOptions(args)).toThrow(
      expect.objectContaining({ exit: 2, message: expect.stringMatching(/^.+$/) }),
    );
    expect(() => readOptions(args)).toThrow(message);
  });

  test('is refused where a record is none', () => {
    const path = join(folder, 'other.json');
    const [group] = record.groups;
    const others: unknown[] = [
      ...[null, [], {}, { ...record, machine: undefined }, { ...record, rounds: '3' }, { ...record, groups: {} }],
      { ...record, groups: [{ ...group, noise: {} }] },
      { ...record, groups: [{ ...group, cases: [{ name: 'put/a' }] }] },
      { ...record, groups: [{ ...group, cases: [{ name: 'put/a', samples: [{ cpu: '1' }] }] }] },
    ];
    for (const text of ['', '{', 'no\nJSON', ...others.map((other) => JSON.stringify(other))]) {
      writeFileSync(path, text);
      for (const name of ['--show', '--compare']) {
        expect(() => readOptions([name, path]), text).toThrow(/ is not what a run of the benchmarks keeps$/);
      }
    }
  });

  test('is known by name before anything is run', () => {
    expect(isNamed(/^put\/sealift$/)).toBe(true);
    expect(isNamed(/no such case/)).toBe(false);
  });
});

/** The budget of memory: what is refused for good, what waits, and what threads take from it. */
import { describe, expect, test } from 'vitest';
import {
  BASE_SIZE,
  HASH_THREAD_SIZE,
  laneSizeOf,
  MemoryBudget,
  planMemory,
  THREAD_SIZE,
} from '../../src/parts/memory.ts';
import { GiB, KiB, MiB } from '../../src/units.ts';
import { errorOf } from '../formats/message.ts';

function leastNamed(action: () => unknown): number {
  const { code, hint } = errorOf(action);
  expect(code).toBe('memory-too-small');
  return Number(/--max-memory (\d+)MiB or more/.exec(hint)?.[1]) * MiB;
}

describe('the least that an error names works, and a MiB less does not', () => {
  test.each([MiB, 45 * MiB, 4 * GiB, 64 * GiB - 32])('for %i bytes held at once', (size) => {
    const room = (maxMemory: number) => () => new MemoryBudget({ maxMemory }).check(size);
    const least = leastNamed(room(BASE_SIZE));
    room(least)();
    expect(leastNamed(room(least - MiB))).toBe(least);
  });

  test.each([
    { partSize: 8 * MiB, signs: false },
    { partSize: 45 * MiB, signs: true },
    { partSize: 4 * GiB, signs: false },
  ])('for parts of $partSize bytes on threads, signed: $signs', async ({ partSize, signs }) => {
    const plan = (maxMemory: number) => () => planMemory({ maxMemory, signs }, laneSizeOf(partSize));
    const least = leastNamed(plan(BASE_SIZE));
    const { threadCount, lanes } = plan(least)();
    expect(leastNamed(plan(least - MiB))).toBe(least);
    const budget = new MemoryBudget({ maxMemory: least });
    budget.startThreads(threadCount);
    if (signs) budget.startHashThread();
    for (let lane = 0; lane < lanes.most; lane++) await budget.take(laneSizeOf(partSize));
  });
});

test('bytes given back go to who has waited longest', async () => {
  const budget = new MemoryBudget({ maxMemory: BASE_SIZE + 100 * MiB });
  const order: string[] = [];
  const first = await budget.take(70 * MiB);
  const large = budget.take(90 * MiB).then((ticket) => order.push('large') && ticket);
  const small = budget.take(KiB).then((ticket) => order.push('small') && ticket);
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  await Promise.all([large, small]);
  expect(order).toEqual(['large', 'small']);
});

test('threads leave less: who waits for more is refused, who waits for enough gets it', async () => {
  const budget = new MemoryBudget({ maxMemory: BASE_SIZE + 100 * MiB });
  const first = await budget.take(70 * MiB);
  const tooMuch = budget.take(90 * MiB);
  const enough = budget.take(50 * MiB);
  budget.startThreads(1);
  await expect(tooMuch).rejects.toMatchObject({ code: 'memory-too-small' });
  first[Symbol.dispose]();
  (await enough)[Symbol.dispose]();
  expect(leastNamed(() => budget.check(90 * MiB))).toBe(BASE_SIZE + THREAD_SIZE + 90 * MiB);
  budget.startHashThread();
  expect(leastNamed(() => budget.check(50 * MiB))).toBe(BASE_SIZE + THREAD_SIZE + HASH_THREAD_SIZE + 50 * MiB);
});

/** The stores of folders: as many as are in use are kept, and no more. */
import { expect, test } from 'vitest';
import { Recent } from '../../src/parts/recent.ts';

test('what was used longest ago is made again, what was used since is not', () => {
  const recent = new Recent<{ name: string }>(2);
  const of = (name: string) => recent.get(name, () => ({ name }));
  const [a, b] = [of('a'), of('b')];
  expect(of('a')).toBe(a);
  of('c');
  expect(of('a')).toBe(a);
  expect(of('b')).not.toBe(b);
  expect([...recent.values()]).toEqual([{ name: 'a' }, { name: 'b' }]);
});

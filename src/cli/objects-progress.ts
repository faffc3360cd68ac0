/** What there is to see of a job of many objects: how many are through, and what the others failed by. */
import type { ObjectsProgress } from '../index.ts';

export interface ObjectsStanding extends ObjectsProgress {
  /** Of this run: how many failed, by the code of each. */
  failures: ReadonlyMap<string, number>;
  /** Of this run: how often a service wanted fewer requests. */
  throttles: number;
}

/** `1,234 of 5,000 objects done, 3 skipped, 2 failed, 2 by access-denied, 6 requests throttled`. While more are listed `of 5,000 so far`. */
export function objectsLine(objects: ObjectsStanding): string {
  return objectsFacts(objects).join(', ');
}

/** As `objectsLine`, in `width` columns: what has no room is left away, the last facts first. */
export function objectsLineWithin(objects: ObjectsStanding, width: number): string {
  const facts = objectsFacts(objects);
  const fewer = facts.map((_, index) => facts.slice(0, facts.length - index).join(', '));
  return fewer.find((line) => line.length <= width) ?? '';
}

function objectsFacts({ listed, done, skipped, failed, listing, failures, throttles }: ObjectsStanding): string[] {
  const facts = [`${numberText(done)} of ${numberText(listed)} objects${listing ? ' so far' : ''} done`];
  if (skipped > 0) facts.push(`${numberText(skipped)} skipped`);
  if (failed > 0) facts.push(`${numberText(failed)} failed`);
  const mostFirst = [...failures].sort(([, one], [, other]) => other - one);
  for (const [code, count] of mostFirst) facts.push(`${numberText(count)} by ${code}`);
  if (throttles > 0) facts.push(`${numberText(throttles)} ${throttles === 1 ? 'request' : 'requests'} throttled`);
  return facts;
}

function numberText(count: number): string {
  return count.toLocaleString('en-US');
}

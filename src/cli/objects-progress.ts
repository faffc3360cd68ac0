/** What there is to see of a job of many objects: how many are through, what the others failed by, what is on its way. */
import type { ObjectsProgress } from '../index.ts';
import { visible } from './output.ts';

/** Of a longer name the end is shown, which is where it differs from others. */
const NAME_WIDTH = 32;

export interface ObjectsStanding extends ObjectsProgress {
  /** Of this run: how many failed, by the code of each. */
  failures: ReadonlyMap<string, number>;
  /** Of this run: how often a service wanted fewer requests. */
  throttles: number;
  /** Of this run, the rate that of the last seconds. */
  kms?: { calls: number; perSecond: number };
}

/** `1,234 of 5,000 objects done, 3 skipped, 2 failed, 2 by access-denied, 6 requests throttled`. While more are listed `of 5,000 so far`. */
export function objectsLine(objects: ObjectsStanding): string {
  return objectsFacts(objects).join(', ');
}

/** As `objectsLine`, in `width` columns: what has no room is left away, the last facts first. */
export function objectsLineWithin(objects: ObjectsStanding, width: number): string {
  return lineWithin(objectsFacts(objects), width);
}

/** `4 KMS calls (0.5 of 2,000 a second), on their way 128 small objects, db.tar, videos/a.mov`. Shortened likewise. */
export function movingLineWithin(objects: ObjectsStanding, width: number): string {
  return lineWithin(movingFacts(objects), width);
}

function lineWithin(facts: readonly string[], width: number): string {
  const fewer = facts.map((_, index) => facts.slice(0, facts.length - index).join(', '));
  return fewer.find((line) => line.length <= width) ?? '';
}

function movingFacts({ moving = { small: 0, large: [] }, kms, kmsPerSecond }: ObjectsStanding): string[] {
  const facts: string[] = [];
  if (moving.small > 0) facts.push(`${numberText(moving.small)} small objects`);
  facts.push(...moving.large.map(nameText));
  if (facts[0] !== undefined) facts[0] = `on their way ${facts[0]}`;
  if (kms && kmsPerSecond !== undefined) {
    const { calls, perSecond } = kms;
    const rate = `${numberText(Number(perSecond.toPrecision(2)))} of ${numberText(kmsPerSecond)} a second`;
    facts.unshift(`${numberText(calls)} KMS ${calls === 1 ? 'call' : 'calls'} (${rate})`);
  }
  return facts;
}

function nameText(name: string): string {
  const shown = visible(name).replaceAll('\n', '\\n');
  return shown.length > NAME_WIDTH ? `…${shown.slice(1 - NAME_WIDTH)}` : shown;
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

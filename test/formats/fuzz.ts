/**
 * A fuzzer with teeth: it changes messages where it hurts and then authenticates them again, so that the readers cannot
 * hide behind a tag. Half of its inputs are such lies; the others are changed as an attacker without the key can.
 *
 * What must hold for each: the readers give the plain bytes that were sealed, or refuse with a coded error; they never
 * fail otherwise, and never disagree.
 */
import { expect } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import { DAMAGES, Dice, LIES } from './lies.ts';
import { openInOrder, openMessage, somePlain } from './message.ts';
import { ALL_SUITES, fieldsOf, writeMessage } from './writer.ts';

export interface FuzzReport {
  opened: number;
  refused: number;
  /** Error codes, and how often. */
  codes: Record<string, number>;
  /** Names of changes, and how many messages with them were refused. */
  refusedBy: Record<string, number>;
}

/** Opens `count` changed messages, and throws at the first that is not taken as it must be. */
export function fuzz({ seed, count }: { seed: number; count: number }): FuzzReport {
  const report: FuzzReport = { opened: 0, refused: 0, codes: {}, refusedBy: {} };
  for (let index = 0; index < count; index++) {
    const dice = new Dice(seed + index * 7919);
    const { sealed, plains, dataKey, names } = changedMessage(dice);
    const chunkSize = dice.pick([1, 16, 33, 1000, sealed.length || 1]);
    const outcomes = [openMessage, openInOrder].map((open) => outcomeOf(() => open(sealed, { dataKey, chunkSize })));
    const about = `seed ${seed + index * 7919}: ${names.join(', ')}`;
    for (const outcome of outcomes) {
      if (outcome instanceof Buffer)
        expect(
          plains.some((plain) => outcome.equals(plain)),
          about,
        ).toBe(true);
      else expect(outcome, about).toBeInstanceOf(SealiftError);
    }
    const [first, second] = outcomes;
    expect(first instanceof Buffer, `${about}: the readers disagree: ${first}, ${second}`).toBe(
      second instanceof Buffer,
    );
    record(report, first as Buffer | SealiftError, names);
  }
  return report;
}

function record(report: FuzzReport, outcome: Buffer | SealiftError, names: string[]): void {
  if (!(outcome instanceof SealiftError)) {
    report.opened++;
    return;
  }
  report.refused++;
  report.codes[outcome.code] = (report.codes[outcome.code] ?? 0) + 1;
  for (const name of names) report.refusedBy[name] = (report.refusedBy[name] ?? 0) + 1;
}

function changedMessage(dice: Dice) {
  const suite = dice.pick(ALL_SUITES);
  const frameSize = dice.pick([0, 1, 7, 16, 100]);
  const plain = somePlain(dice.pick([0, 1, 7, 14, 16, 99, 100, 101, 300]) % (frameSize === 1 ? 20 : 1000));
  const context = dice.pick([{}, { a: 'b' }, { purpose: 'test', é: '' }]);
  const fields = fieldsOf({ suite, plain, frameSize, context, emptyFinalFrame: dice.roll(2) === 0 });
  const dataKey = Buffer.alloc(suite.keySize, 'data key');
  if (dice.roll(2) === 0) {
    const name = dice.pick(Object.keys(DAMAGES));
    return { sealed: DAMAGES[name]!(writeMessage(fields, dataKey), dice), plains: [plain], dataKey, names: [name] };
  }
  const names = Array.from({ length: 1 + dice.roll(2) }, () => dice.pick(Object.keys(LIES)));
  for (const name of names) if (fields.frames.length > 0) LIES[name]!(fields, dice);
  // Two lies may add up to an honest message of other frames.
  const plains = names.length > 1 ? [plain, Buffer.concat(fields.frames.map((some) => some.plain))] : [plain];
  return { sealed: writeMessage(fields, dataKey), plains, dataKey, names };
}

function outcomeOf(open: () => Buffer): unknown {
  try {
    return open();
  } catch (error) {
    return error;
  }
}

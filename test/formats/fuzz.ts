/**
 * A fuzzer with teeth: it changes messages where it hurts and then authenticates them again, so that the readers cannot
 * hide behind a tag. Half of its inputs are such lies; the others are changed as an attacker without the key can.
 *
 * What must hold for each: the readers give the plain bytes that were sealed, or refuse with a coded error; they never
 * fail otherwise, and never disagree.
 */
import { expect } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import { DAMAGES, Dice, HARMLESS, LIES } from './lies.ts';
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
    const sample = changedMessage(dice);
    const chunkSize = dice.pick([1, 16, 33, 1000, sample.sealed.length || 1]);
    const about = `seed ${seed + index * 7919}: ${sample.names.join(', ')}`;
    const [first, second] = [openMessage, openInOrder].map((open) => outcomeOf(open, sample, chunkSize, about));
    expect(first instanceof Buffer, `${about}: the readers disagree: ${first}, ${second}`).toBe(
      second instanceof Buffer,
    );
    record(report, first!, sample.names);
  }
  return report;
}

interface Sample {
  sealed: Buffer;
  dataKey: Buffer;
  /** What was done to it. */
  names: string[];
  /** What it may open to. */
  plains: Buffer[];
  /** It may open although it was changed. */
  mayOpen: boolean;
  /** The message before it was changed. */
  honest: () => Buffer;
}

function outcomeOf(
  open: typeof openMessage,
  { sealed, dataKey, plains, mayOpen, honest }: Sample,
  chunkSize: number,
  about: string,
): Buffer | SealiftError {
  let opened: Buffer;
  try {
    opened = open(sealed, { dataKey, chunkSize });
  } catch (error) {
    expect(error, about).toBeInstanceOf(SealiftError);
    return error as SealiftError;
  }
  expect(
    plains.some((plain) => opened.equals(plain)),
    `${about}: other bytes`,
  ).toBe(true);
  if (!mayOpen) expect(sealed.equals(honest()), `${about}: it opens`).toBe(true);
  return opened;
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

function changedMessage(dice: Dice): Sample {
  const suite = dice.pick(ALL_SUITES);
  const frameSize = dice.pick([0, 1, 7, 16, 100]);
  const plain = somePlain(dice.pick([0, 1, 7, 14, 16, 99, 100, 101, 300]) % (frameSize === 1 ? 20 : 1000));
  const context = dice.pick([{}, { a: 'b' }, { purpose: 'test', é: '' }]);
  const recipe = { suite, plain, frameSize, context, emptyFinalFrame: dice.roll(2) === 0 };
  const dataKey = Buffer.alloc(suite.keySize, 'data key');
  const fields = fieldsOf(recipe);
  if (dice.roll(2) === 0) {
    const name = dice.pick(Object.keys(DAMAGES));
    const whole = writeMessage(fields, dataKey);
    const sealed = DAMAGES[name]!(whole, dice);
    return { sealed, dataKey, names: [name], plains: [plain], mayOpen: false, honest: () => whole };
  }
  const names = Array.from({ length: 1 + dice.roll(2) }, () => dice.pick(Object.keys(LIES)));
  for (const name of names) if (fields.frames.length > 0) LIES[name]!(fields, dice);
  const sealed = writeMessage(fields, dataKey);
  const honest = () => writeMessage(fieldsOf(recipe), dataKey);
  if (names.length === 1) {
    return { sealed, dataKey, names, plains: [plain], mayOpen: HARMLESS.has(names[0]!), honest };
  }
  // Two lies may add up to an honest message, of other frames.
  const other = Buffer.concat(fields.frames.map((some) => some.plain));
  return { sealed, dataKey, names, plains: [plain, other], mayOpen: true, honest };
}

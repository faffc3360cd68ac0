/**
 * A fuzzer with teeth: it changes messages where it hurts and then authenticates them again, so that the readers cannot
 * hide behind a tag. Half of its inputs are such lies; the others are changed as an attacker without the key can.
 *
 * What must hold for each: the readers give the plain bytes that were sealed, or refuse with a coded error; they never
 * fail otherwise, never disagree, and never ask for more memory than such messages can need.
 */
import { SealiftError } from '../../src/errors.ts';
import { MiB } from '../../src/units.ts';
import { DAMAGES, Dice, HARMLESS, LIES } from './lies.ts';
import { openInOrder, openMessage, openRange, somePlain } from './message.ts';
import { ALL_SUITES, encodePairs, fieldsOf, writeMessage } from './writer.ts';

export interface FuzzOptions {
  seed: number;
  count: number;
  /** Hears of each message before it is opened. */
  onMessage?: (about: string) => void;
}

export interface FuzzReport {
  opened: number;
  refused: number;
  /** Messages that were authenticated again after they were changed. */
  lies: number;
  /** Error codes, and how often. */
  codes: Record<string, number>;
  /** Names of changes, and how many messages with them were refused. */
  refusedBy: Record<string, number>;
}

/** What any reader may hold at once: no message here is larger, and a piece of frames is 1 MiB. */
const ROOM = 4 * MiB;

type Reader = (sample: Sample, chunkSize: number) => Buffer;

const READERS: Record<string, Reader> = {
  'frame by frame': ({ sealed, keys, saidSize }, chunkSize) =>
    openMessage(sealed, { ...keys, chunkSize, sealedSize: saidSize }),
  'from front to back': ({ sealed, keys }, chunkSize) => openInOrder(sealed, { ...keys, chunkSize }),
  'as a pipe': ({ sealed, keys }, chunkSize) => openInOrder(sealed, { ...keys, chunkSize, isPipe: true, reserve }),
};

function reserve(size: number): void {
  if (size > ROOM) throw new SealiftError('memory-too-small', `There is no room for ${size} bytes`, { hint: '' });
}

/** Opens `count` changed messages, and throws at the first that is not taken as it must be. */
export function fuzz({ seed, count, onMessage = () => {} }: FuzzOptions): FuzzReport {
  using _guard = guardAllocations();
  const report: FuzzReport = { opened: 0, refused: 0, lies: 0, codes: {}, refusedBy: {} };
  for (let index = 0; index < count; index++) {
    const dice = new Dice(seed + index * 7919);
    const sample = changedMessage(dice);
    const about = `seed ${seed + index * 7919}: ${sample.names.join(', ')}`;
    onMessage(about);
    const chunkSize = dice.pick([...(sample.sealed.length < 10_000 ? [1, 16, 33] : []), 1000, 1 << 30]);
    const outcomes = Object.entries(READERS).map(([name, read]) =>
      outcomeOf(() => read(sample, chunkSize), sample, `${about}: ${name}`),
    );
    if (new Set(outcomes.map((outcome) => outcome instanceof Buffer)).size > 1) {
      throw new Error(`${about}: the readers disagree: ${outcomes.join('; ')}`);
    }
    readRange(sample, dice, about);
    record(report, outcomes[0]!, sample);
  }
  return report;
}

interface Sample {
  sealed: Buffer;
  /** What its readers know. */
  keys: { dataKey: Buffer; requiredContext: Record<string, string> };
  /** What was done to it. */
  names: string[];
  /** It was authenticated after that. */
  isLie: boolean;
  /** Its size as a store may tell it. */
  saidSize?: number;
  /** What it may open to. */
  plains: Buffer[];
  /** It may open although it was changed. */
  mayOpen: boolean;
  /** The message before it was changed. */
  honest: () => Buffer;
}

function outcomeOf(read: () => Buffer, { sealed, plains, mayOpen, honest }: Sample, about: string) {
  const outcome = attempt(read, about);
  if (!(outcome instanceof Buffer)) return outcome;
  if (!plains.some((plain) => outcome.equals(plain))) throw new Error(`${about}: other bytes`);
  if (!mayOpen && !sealed.equals(honest())) throw new Error(`${about}: it opens`);
  return outcome;
}

/** A range may open where the whole does not, but to no other bytes. */
function readRange({ sealed, keys, plains }: Sample, dice: Dice, about: string): void {
  const first = dice.roll(plains[0]!.length + 1);
  const range = { first, last: first + dice.roll(50) };
  const outcome = attempt(() => openRange(sealed, range, keys), about);
  if (!(outcome instanceof Buffer)) return;
  const isRight = plains.some((plain) => outcome.equals(plain.subarray(range.first, range.last + 1)));
  if (!isRight) throw new Error(`${about}: other bytes in ${range.first} to ${range.last}`);
}

function attempt(read: () => Buffer, about: string): Buffer | SealiftError {
  try {
    return read();
  } catch (error) {
    if (error instanceof SealiftError) return error;
    throw new Error(`${about}: no coded error`, { cause: error });
  }
}

function record(report: FuzzReport, outcome: Buffer | SealiftError, { names, isLie }: Sample): void {
  if (isLie) report.lies++;
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
  const context = dice.pick([{}, { a: 'b' }, { purpose: 'test', é: '' }]);
  const recipe = { suite, context, ...someBody(dice), emptyFinalFrame: dice.roll(2) === 0 };
  const { plain } = recipe;
  const dataKey = Buffer.alloc(suite.keySize, 'data key');
  const requiredContext = dice.pick<Record<string, string>>([{}, {}, { é: 'f', not: 'stored' }]);
  const keys = { dataKey, requiredContext };
  const unstored = encodePairs(requiredContext);
  const fields = { ...fieldsOf(recipe), unstored };
  // Somewhat more lies than damages, so that a run of any size has half of them.
  if (dice.roll(9) < 4) {
    const name = dice.pick(Object.keys(DAMAGES));
    const whole = writeMessage(fields, dataKey);
    const sealed = DAMAGES[name]!(whole, dice);
    const saidSize = dice.pick([sealed.length, whole.length]);
    const honest = () => whole;
    return { sealed, keys, names: [name], isLie: false, saidSize, plains: [plain], mayOpen: false, honest };
  }
  const names = Array.from({ length: 1 + dice.roll(2) }, () => dice.pick(Object.keys(LIES)));
  for (const name of names) if (fields.frames.length > 0) LIES[name]!(fields, dice);
  const sealed = writeMessage(fields, dataKey);
  const honest = () => writeMessage({ ...fieldsOf(recipe), unstored }, dataKey);
  if (names.length === 1) {
    const mayOpen = HARMLESS.has(names[0]!);
    return { sealed, keys, names, isLie: true, plains: [plain], mayOpen, honest };
  }
  // Two lies may add up to an honest message, of other frames.
  const other = Buffer.concat(fields.frames.map((some) => some.plain));
  return { sealed, keys, names, isLie: true, plains: [plain, other], mayOpen: true, honest };
}

/** Small bodies, and now and then one of more frames than a reader opens at once. */
function someBody(dice: Dice): { plain: Buffer; frameSize: number } {
  if (dice.roll(500) === 0)
    return { plain: Buffer.alloc(1.25 * MiB, 'plain'), frameSize: dice.pick([0, MiB / 4, MiB]) };
  const frameSize = dice.pick([0, 1, 7, 16, 100]);
  return {
    plain: somePlain(dice.pick([0, 1, 7, 14, 16, 99, 100, 101, 300]) % (frameSize === 1 ? 20 : 1000)),
    frameSize,
  };
}

/** Until disposed of, a buffer larger than a reader may need is an error, whether room was reserved for it or not. */
function guardAllocations(): Disposable {
  const honest = { alloc: Buffer.alloc, allocUnsafe: Buffer.allocUnsafe, allocUnsafeSlow: Buffer.allocUnsafeSlow };
  for (const [name, allocate] of Object.entries(honest)) {
    const guarded = (size: number, ...rest: []) => {
      if (size > ROOM) throw new Error(`Buffer.${name} of ${size} bytes`);
      return allocate(size, ...rest);
    };
    Object.assign(Buffer, { [name]: guarded });
  }
  return { [Symbol.dispose]: () => void Object.assign(Buffer, honest) };
}

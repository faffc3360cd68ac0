/**
 * A get is cut into pieces as a put is into parts: whole units, a fixed number of them each. A piece's number is that of
 * the layout's part it lies in, so a resumed get finds the same pieces again.
 */
import { SealiftError } from '../errors.ts';
import type { Cut } from '../formats/message.ts';
import { gridOf, type Units, unitsCovering } from '../formats/units.ts';

/** Plain bytes, both ends inclusive. */
export interface ByteRange {
  first: number;
  last: number;
}

/** Throws `bad-range` where the range is none, or begins behind `plainSize` bytes. */
export function checkRange({ first, last }: ByteRange, plainSize: number): void {
  if (0 <= first && first <= last && first < plainSize) return;
  const range = last === Number.MAX_SAFE_INTEGER ? `${first}-` : `${first}-${last}`;
  throw new SealiftError('bad-range', `Bytes ${range} are not within ${plainSize} plain bytes`, {
    hint: 'Both ends count from 0 and belong to the range.',
  });
}

export interface Piece extends Units {
  number: number;
  /** Where its plain bytes begin among all that are wanted, and so in the file. */
  plainOffset: number;
  /** Wanted plain bytes in this piece. */
  plainSize: number;
}

/** Pieces in order, each made when it is asked for: the largest objects have millions. */
export interface Pieces extends Iterable<Piece> {
  /** At least one. */
  readonly count: number;
  readonly firstNumber: number;
}

/**
 * The pieces that cover `range`. A range that ends before it begins is that of an empty object. Throws `bad-range` where
 * none of the bytes exist.
 */
export function piecesOf({ message, range }: { message: Cut; range: ByteRange }): Pieces {
  const { plainSize, unitSize, partUnitCount, partCount } = gridOf(message);
  if (range.last >= range.first) checkRange(range, plainSize);
  const { firstUnit, lastUnit } = unitsCovering(message, range);
  // An empty last unit lies in the last part.
  const partNumberOf = (unit: number) => Math.min(partCount, Math.ceil(unit / partUnitCount));

  const firstNumber = partNumberOf(firstUnit);
  const count = partNumberOf(lastUnit) - firstNumber + 1;

  function pieceOf(number: number): Piece {
    const units = {
      firstUnit: Math.max((number - 1) * partUnitCount + 1, firstUnit),
      lastUnit: number === partCount ? lastUnit : Math.min(number * partUnitCount, lastUnit),
    };
    const first = Math.max((units.firstUnit - 1) * unitSize, range.first);
    const last = Math.min(units.lastUnit * unitSize - 1, range.last);
    return { number, ...units, plainOffset: first - range.first, plainSize: Math.max(0, last - first + 1) };
  }

  function* pieces(): Generator<Piece> {
    for (let index = 0; index < count; index++) yield pieceOf(firstNumber + index);
  }

  return { firstNumber, count, [Symbol.iterator]: pieces };
}

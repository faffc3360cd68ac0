/**
 * A get is cut into pieces as a put is into parts: whole frames, a fixed number of them each. A piece's number is that
 * of the layout's part it lies in, so a resumed get finds the same pieces again.
 */
import { SealiftError } from '../errors.ts';
import { framesCovering, type Layout, partOf } from '../formats/esdk/layout.ts';

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

export interface Piece {
  number: number;
  firstFrame: number;
  lastFrame: number;
  /** Where its plain bytes begin among all that are wanted, and so in the file. */
  plainOffset: number;
  /** Wanted plain bytes in this piece. */
  plainSize: number;
}

/**
 * The pieces that cover `range`. A range that touches the object's end takes in the final frame even where that is
 * empty: it is what shows that nothing is missing behind it.
 */
export function piecesOf({ message: { layout }, range }: { message: { layout: Layout }; range: ByteRange }): Piece[] {
  const covering = range.last < range.first ? { firstFrame: 1, lastFrame: 1 } : framesCovering(layout, range);
  const lastFrame = range.last >= layout.plainSize - 1 ? layout.frameCount : covering.lastFrame;
  // An empty final frame lies in the last part.
  const partNumberOf = (frame: number) => Math.min(layout.partCount, Math.ceil(frame / layout.partFrameCount));

  const pieces: Piece[] = [];
  for (let number = partNumberOf(covering.firstFrame); number <= partNumberOf(lastFrame); number++) {
    const part = partOf(layout, number);
    const first = Math.max(part.plainOffset, range.first);
    const last = Math.min(part.plainOffset + part.plainSize - 1, range.last);
    pieces.push({
      number,
      firstFrame: Math.max(part.frames.firstFrame, covering.firstFrame),
      lastFrame: Math.min(part.frames.lastFrame, lastFrame),
      plainOffset: first - range.first,
      plainSize: Math.max(0, last - first + 1),
    });
  }
  return pieces;
}

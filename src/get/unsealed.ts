/**
 * Objects that were put with `--seal none`. Nothing of them can be authenticated: whoever could write to the bucket could
 * have written them, mark and all. So they are taken for what they are only where the user says `--seal none` too, and what
 * then tells damage, though not malice, is the CRC32 of the whole object that S3 keeps.
 */
import { SealiftError } from '../errors.ts';
import { combineCrc32 } from '../formats/crc32.ts';
import type { PlainMessage } from '../formats/message.ts';
import { ledgerKeyOf } from '../formats/plain/mark.ts';
import { crc32OfHash } from '../formats/units.ts';
import type { PlainRequest } from '../get.ts';
import type { Place } from '../job.ts';
import { ID_METADATA } from '../parts/written.ts';
import type { Progress } from '../progress.ts';
import { type FindOptions, findAny, type UnsealedObject } from './object.ts';
import type { Piece } from './pieces.ts';

/** What only a seal can show, by the names of the flags. */
const SHOWN_BY_A_SEAL = {
  requireBound: '--require-bound',
  requireSignature: '--require-signature',
  expectContext: '--expect-context',
  requiredContext: '--required-context',
} as const satisfies Partial<Record<keyof PlainRequest, string>>;

/** The request for an object that is not sealed: to ask for one is to want what nobody can verify. Throws `bad-option`. */
export function unsealedRequest<Request extends PlainRequest>(request: Request): Request {
  const names = Object.keys(SHOWN_BY_A_SEAL) as (keyof typeof SHOWN_BY_A_SEAL)[];
  const demanded = names.find((name) => request[name] !== undefined && request[name] !== false);
  if (demanded !== undefined) {
    const flag = SHOWN_BY_A_SEAL[demanded];
    throw new SealiftError('bad-option', `${flag} and --seal none contradict each other: only a seal can show that`, {
      hint: 'Leave one of them out.',
    });
  }
  if (typeof request.source === 'string') return { ...request, releaseUnverified: true };
  throw new SealiftError(
    'bad-option',
    '--seal none is for objects: of what comes through a pipe nothing is to be opened',
    {
      hint: 'Write it where you want it, or leave --seal none out.',
    },
  );
}

/** Throws `object-not-found`, `not-sealed` for what others wrote, and `bad-option` for what is sealed. */
export async function findUnsealed(place: Place, options: FindOptions): Promise<UnsealedObject> {
  const found = await findAny(place, options);
  if (found.format === 'plain') return found;
  throw new SealiftError('bad-option', `${place.url} is sealed, and --seal none is for what is not`, {
    hint: 'Leave --seal none out: the object is then opened, and verified.',
  });
}

/** Its ledger's rows are tagged under the id that its writing had. */
export function messageOf({ info, layout }: UnsealedObject): PlainMessage {
  return { format: 'plain', layout, keys: { ledgerKey: ledgerKeyOf(Buffer.from(info.metadata[ID_METADATA] ?? '')) } };
}

/** The checksums of all pieces, and whether they come to that of the object. */
export class ChecksumProof {
  readonly #place: Place;
  readonly #object: UnsealedObject;
  readonly #progress: Progress;
  readonly #pieces = new Map<number, { size: number; crc32: number }>();

  constructor(place: Place, object: UnsealedObject, progress: Progress) {
    this.#place = place;
    this.#object = object;
    this.#progress = progress;
  }

  add({ number, plainSize: size }: Piece, hash: Uint8Array): void {
    this.#pieces.set(number, { size, crc32: crc32OfHash(hash) });
  }

  /** Once all pieces are here: throws `checksum-mismatch`; what the store cannot tell is a warning. */
  async check(): Promise<void> {
    const { url } = this.#place;
    const { crc32: kept } = this.#object.info;
    if (kept === undefined) {
      this.#progress.warn(
        `${url} is not sealed, and the server keeps no checksum of it: nothing tells whether it is whole`,
      );
      return;
    }
    const inOrder = [...this.#pieces].sort(([one], [other]) => one - other).map(([, piece]) => piece);
    let crc32 = 0;
    for (const piece of inOrder) crc32 = combineCrc32(crc32, piece.crc32, piece.size);
    if (crc32 === kept) return;
    throw new SealiftError('checksum-mismatch', `${url} came with another checksum than the server keeps of it`, {
      hint: 'Run the command again. If it happens again, the line, this machine or the object is damaged.',
    });
  }
}

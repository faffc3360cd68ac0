/**
 * What proves objects of the S3 Encryption Client: one tag over all of an object, which parallel pieces come to by their
 * hashes. So nothing of it is proven before all of it was opened, and a part of it never is. A piece that is opened a
 * second time, after the whole was proven, proves itself by having the same hash again: nobody who does not know the key
 * can change it and keep that.
 */
import { timingSafeEqual } from 'node:crypto';
import { SealiftError } from '../errors.ts';
import { type HashedPart, TAG_SIZE, tagOf } from '../formats/gcm/message.ts';
import type { S3ecMessage } from '../formats/message.ts';
import { gcmMessageOf } from '../formats/s3ec/keys.ts';
import { badTag } from '../formats/s3ec/open-object.ts';
import type { PlainRequest } from '../get.ts';
import type { Place } from '../job.ts';
import { readRange, type SealedObject } from './object.ts';
import type { Piece } from './pieces.ts';

/** The hashes of all pieces of one object, which stay here, and its tag. */
export class Proof {
  readonly #place: Place;
  readonly #object: SealedObject;
  readonly #message: S3ecMessage;
  readonly #parts = new Map<number, HashedPart>();

  constructor(place: Place, object: SealedObject, message: S3ecMessage) {
    this.#place = place;
    this.#object = object;
    this.#message = message;
  }

  /** Throws `bad-tag` for a piece that was another when it was opened before. */
  add({ number, plainSize }: Piece, hash: Uint8Array): void {
    const before = this.#parts.get(number);
    if (before && !timingSafeEqual(before.hash, hash)) throw badTag();
    this.#parts.set(number, { size: plainSize, hash });
  }

  /** Once all pieces are here: throws `bad-tag` unless they are the object that was sealed. */
  async check(signal: AbortSignal | undefined): Promise<void> {
    const { info } = this.#object;
    const last = info.size - 1;
    const tag = await readRange(this.#place, info, { first: info.size - TAG_SIZE, last }, signal);
    const { suite, messageId, keys } = this.#message;
    const inOrder = [...this.#parts].sort(([one], [other]) => one - other).map(([, part]) => part);
    if (!timingSafeEqual(tag, tagOf(gcmMessageOf(suite, messageId, keys), inOrder))) throw badTag();
  }
}

/** Throws `unauthenticated` where what is asked for cannot be proven and `--release-unverified` does not say: all the same. */
export function checkProvable({ command, range, releaseUnverified }: PlainRequest, object: SealedObject): void {
  if (object.format === 'esdk') return;
  if (object.header.suite.tagSize === 0) {
    if (command === 'verify') {
      throw new SealiftError(
        'unauthenticated',
        'Nothing authenticates an object under AES-CBC: it cannot be verified',
        {
          hint: 'Get it, look at it, and put it again: then it can be.',
        },
      );
    }
    if (range) {
      throw new SealiftError('bad-range', 'An object under AES-CBC is opened as a whole: it has no ranges', {
        hint: 'Leave --range away, and cut what you need out of the whole.',
      });
    }
  }
  if (!range || releaseUnverified) return;
  throw new SealiftError('unauthenticated', 'An object of the S3 Encryption Client proves itself only as a whole', {
    hint: 'Leave --range away. To have these bytes although somebody may have changed them, give --release-unverified.',
  });
}

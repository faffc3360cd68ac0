/**
 * An object's bytes opened from front to back. What comes out of it is not authenticated before `finish`, and with CBC
 * not even then: whoever may not release such bytes holds them until the end.
 */
import { createDecipheriv, type DecipherGCM, type Decipheriv } from 'node:crypto';
import { SealiftError } from '../../errors.ts';
import { release } from '../release.ts';
import type { ObjectHeader } from './header.ts';
import { gcmMessageOf, type ObjectKeys } from './keys.ts';

export class ObjectOpener {
  readonly #tagSize: number;
  readonly #decipher: Decipheriv;
  /** The last bytes so far: perhaps the tag. */
  #held: Buffer = Buffer.alloc(0);
  /** The newest plain bytes: theirs who were given them, until there are others. */
  #given: Buffer = Buffer.alloc(0);

  constructor({ suite, messageId }: Pick<ObjectHeader, 'suite' | 'messageId'>, keys: ObjectKeys) {
    this.#tagSize = suite.tagSize;
    if (suite.tagSize === 0) {
      this.#decipher = createDecipheriv('aes-256-cbc', keys.contentKey, messageId);
      return;
    }
    const { key, iv, additional } = gcmMessageOf(suite, messageId, keys);
    this.#decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: suite.tagSize }).setAAD(additional);
  }

  /** Takes the next sealed bytes; gives plain ones, unproven, in one piece that is valid until the next push. */
  push(sealed: Uint8Array): [Buffer] {
    release(this.#given);
    const bytes = Buffer.concat([this.#held, sealed]);
    const end = Math.max(0, bytes.length - this.#tagSize);
    this.#held = Buffer.from(bytes.subarray(end));
    this.#given = this.#decipher.update(bytes.subarray(0, end));
    release(bytes);
    return [this.#given];
  }

  /** The last plain bytes. Throws `truncated`, and `bad-tag` where the object is not what was sealed. */
  finish(): Buffer {
    if (this.#held.length < this.#tagSize) {
      throw new SealiftError('truncated', 'The object is shorter than its authentication tag', {
        hint: 'The object was cut short. Fetch another version or another copy of it.',
      });
    }
    try {
      if (this.#tagSize > 0) (this.#decipher as DecipherGCM).setAuthTag(this.#held);
      return this.#decipher.final();
    } catch (cause) {
      throw this.#tagSize > 0 ? badTag(cause) : badPadding(cause);
    }
  }
}

export function badTag(cause?: unknown): SealiftError {
  return new SealiftError('bad-tag', 'The object does not match its authentication tag', {
    hint: 'The object was changed or damaged after it was sealed. Fetch another version or another copy of it.',
    cause,
  });
}

function badPadding(cause: unknown): SealiftError {
  return new SealiftError('truncated', 'The object does not end as one under AES-CBC does', {
    hint: 'It was cut short or changed, or this is not its key: AES-CBC cannot tell which.',
    cause,
  });
}

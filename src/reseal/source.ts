/**
 * The object that is to be sealed again, with its keys: its parts can be opened by range, of whichever format it is. Frames
 * prove themselves; where only the whole object does, it comes with what opens it from front to back (reseal/proof.ts).
 */
import { SealiftError } from '../errors.ts';
import { headerBytes } from '../formats/esdk/header.ts';
import { MessageOpener } from '../formats/esdk/open-message.ts';
import { verifierFor } from '../formats/esdk/signature.ts';
import { BLOCK_SIZE } from '../formats/gcm/message.ts';
import type { EsdkMessage, S3ecMessage } from '../formats/message.ts';
import type { ObjectKeys } from '../formats/s3ec/keys.ts';
import { layoutOf } from '../formats/s3ec/layout.ts';
import { ObjectOpener } from '../formats/s3ec/open-object.ts';
import type { InOrderOpener } from '../get/in-order.ts';
import { type EsdkObject, readRange, type S3ecObject, type SealedObject } from '../get/object.ts';
import { type OpenRules, unlock } from '../get/unlock.ts';
import { unlockObject } from '../get/unlock-s3ec.ts';
import type { Place, Tools } from '../job.ts';
import type { Keyring, KeyringRequest, OpenKeyRequest } from '../keys/keyring.ts';
import { MTIME_METADATA } from '../mtime.ts';
import { laneSizeOf } from '../parts/memory.ts';
import type { ObjectSource } from '../put/source.ts';

export interface OpenedSource {
  source: ObjectSource;
  /** Undefined where every part proves itself. Each call gives one that begins anew. */
  openWhole: (() => InOrderOpener) | undefined;
}

type Opening = OpenRules & Pick<KeyringRequest, 'signal' | 'onCall'>;

/** Opens the data key: with `opener`, or with `sealer`, whose the object already is where a job's last answer was lost. */
export async function openSource(
  place: Place,
  object: SealedObject,
  rules: Opening,
  { opener, sealer, budget }: { opener: Keyring; sealer: Keyring } & Pick<Tools, 'budget'>,
): Promise<OpenedSource> {
  const keyring = { openDataKey: (asked: OpenKeyRequest) => openWithEither(opener, sealer, asked) };
  const { message, openWhole } =
    object.format === 'esdk'
      ? await openMessage(place, object, rules, { keyring, budget })
      : await openObject(place, object, rules, { keyring });
  const { etag, versionId, metadata } = object.info;
  const identity = {
    url: place.url,
    size: message.layout.plainSize,
    etag,
    versionId,
    messageId: object.header.messageId.toString('hex'),
    mtime: metadata[MTIME_METADATA],
  };
  return { source: { object: identity, message, place }, openWhole };
}

type Keys = { keyring: Pick<Keyring, 'openDataKey'> };

async function openMessage(
  { url, key }: Place,
  { info, header, layout }: EsdkObject,
  rules: Opening,
  { keyring, budget }: Keys & Pick<Tools, 'budget'>,
): Promise<{ message: EsdkMessage } & Pick<OpenedSource, 'openWhole'>> {
  const { messageId, keys } = await unlock(header, { url, objectKey: key }, { keyring }, rules);
  const message = { format: 'esdk' as const, layout, messageId, keys };
  if (!header.suite.signature) return { message, openWhole: undefined };
  const reserve = (size: number) => budget.check(laneSizeOf(size));
  const sealedSize = info.size - headerBytes(header).length;
  const openWhole = () => new MessageOpener({ header, keys, verifier: verifierFor(header), reserve, sealedSize });
  return { message, openWhole };
}

async function openObject(
  place: Place,
  object: S3ecObject,
  rules: Opening,
  tools: Keys,
): Promise<{ message: S3ecMessage } & Pick<OpenedSource, 'openWhole'>> {
  const { header } = object;
  const { suite, messageId } = header;
  const keys = await unlockObject(header, { url: place.url, objectKey: place.key }, tools, rules);
  const layout = suite.tagSize > 0 ? object.layout : await withoutPadding(place, object, keys, rules);
  return {
    message: { format: 's3ec', layout, suite, messageId, keys },
    openWhole: () => new ObjectOpener(header, keys),
  };
}

/** Of an object under AES-CBC, whose last block says how much of it is padding. Throws `truncated`. */
async function withoutPadding(
  place: Place,
  { info, header, layout }: S3ecObject,
  keys: ObjectKeys,
  { signal }: Opening,
): Promise<S3ecObject['layout']> {
  const range = { first: Math.max(0, info.size - 2 * BLOCK_SIZE), last: info.size - 1 };
  const tail = await readRange(place, info, range, signal);
  const iv = tail.length > BLOCK_SIZE ? tail.subarray(0, BLOCK_SIZE) : header.messageId;
  const opener = new ObjectOpener({ suite: header.suite, messageId: iv }, keys);
  const opened = Buffer.concat([...opener.push(tail.subarray(-BLOCK_SIZE)), opener.finish()]);
  return layoutOf({ ...layout, plainSize: info.size - BLOCK_SIZE + opened.length });
}

async function openWithEither(opener: Keyring, sealer: Keyring, asked: OpenKeyRequest) {
  try {
    return await opener.openDataKey(asked);
  } catch (error) {
    if (opener === sealer || SealiftError.from(error).code !== 'wrong-key') throw error;
    return await sealer.openDataKey(asked).catch(() => {
      throw error;
    });
  }
}

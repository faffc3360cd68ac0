/** A small object before it is sent: what it is now, its message under a new key, its headers, where it goes. */
import { join } from 'node:path';
import { SealiftError } from '../errors.ts';
import type { Place } from '../job.ts';
import type { SealingMaterials } from '../keys/keyring.ts';
import type { ObjectRow, TargetFacts } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { lookAtSource } from '../parts/source.ts';
import type { ObjectToSend } from '../parts/task.ts';
import { ID_METADATA } from '../parts/written.ts';
import { goesWhole, headersFor, withMetadata } from '../put/attempt.ts';
import { EsdkPut } from '../put/esdk.ts';
import { formatFor, type NewMessage, NO_KEY, type PutFormat } from '../put/format.ts';
import { factsOf, identityOf, type RangedSource } from '../put/source.ts';
import { freshRandom } from '../random.ts';

export interface Prepared<Sending = ObjectToSend> {
  /** As the ledger must have it before a byte is sent. */
  object: ObjectRow;
  target: TargetFacts;
  place: Place;
  toSend: Sending;
}

/** All but the bytes. */
export type SendingOf = Omit<ObjectToSend, 'source'>;

/** Where an object's file is. */
export function pathOf({ source }: Pick<MigrateRun, 'source'>, { name }: ObjectRow): string {
  if (!('directory' in source.reads)) throw new SealiftError('internal', 'The source has no files');
  return join(source.reads.directory, name);
}

/** Undefined where the file has grown and is no small one any more. Throws what keeps this object from being sent. */
export async function prepare(run: MigrateRun, row: ObjectRow): Promise<Prepared | undefined> {
  const place = await run.target.place(row.name);
  const file = await lookAtSource(pathOf(run, row));
  const source = { ...row.source, mtimeNs: file.mtimeNs, inode: file.inode };
  const prepared = await prepareAs(run, { ...row, source }, { place, source: file, sameAs: factsOf(file) });
  return prepared && { ...prepared, toSend: { ...prepared.toSend, source: file } };
}

/** What a small object is to be, from the source as it is. Undefined where that is no small one. */
export async function prepareAs(
  run: MigrateRun,
  row: ObjectRow,
  { place, source, sameAs }: { place: Place; source: RangedSource; sameAs: Readonly<Record<string, string>> },
): Promise<Prepared<SendingOf> | undefined> {
  const { request, tools, looksFirst } = run;
  const { size } = identityOf(source);
  // A signed message has a key of its own, and so a format.
  const format = request.sign ? formatFor(request) : run.format;
  const cut = format.cutFile(size);
  if (!goesWhole(cut, tools, source)) return undefined;
  const sealiftId = freshRandom(16).toString('hex');
  const ours = headersFor({ request, place }, format, { source, ours: { [ID_METADATA]: sealiftId } });
  const { message, header, metadata, made } = await beginMessage(run, { format, cut, objectKey: place.key });
  const messageId = 'messageId' in message ? Buffer.from(message.messageId).toString('hex') : undefined;
  const earlier = earlierOf(row);
  const { format: name, layout } = message;
  const facts = { ...made, sealiftId, messageId, earlier, format: name, sealedSize: layout.sealedSize };
  return {
    object: { ...row, size, state: 'sending', target: facts, startedMs: row.startedMs ?? Date.now() },
    target: facts,
    place,
    toSend: {
      objectKey: place.key,
      message,
      header,
      headers: withMetadata(ours, metadata),
      sealiftId,
      signingKey: format instanceof EsdkPut ? format.signingKey : undefined,
      overwrite: request.overwrite ?? false,
      look: looksFirst || earlier.length > 0,
      earlierIds: earlier.map(({ sealiftId }) => sealiftId),
      sameAs,
    },
  };
}

/** The messages of an object that may be there already. */
export function earlierOf({ target }: ObjectRow): NonNullable<TargetFacts['earlier']> {
  if (!target) return [];
  const { sealiftId, messageId, earlier = [] } = target;
  return [{ sealiftId, messageId }, ...earlier];
}

async function beginMessage(
  { tools, pause, progress }: MigrateRun,
  { format, cut, objectKey }: { format: PutFormat; cut: ReturnType<PutFormat['cutFile']>; objectKey: string },
): Promise<NewMessage & Pick<SealingMaterials, 'made'>> {
  const { keyNeeds } = format;
  if (!keyNeeds) return format.begin({ dataKey: NO_KEY, encryptedDataKeys: [], cut, objectKey });
  using materials = await tools.keyring.makeDataKey({
    ...keyNeeds,
    plainSize: cut.layout.plainSize,
    signal: pause.signal,
    onCall: progress.countKmsCall,
  });
  const { dataKey, encryptedDataKeys, made } = materials;
  return { ...format.begin({ dataKey: dataKey.bytes, encryptedDataKeys, cut, objectKey }), made };
}

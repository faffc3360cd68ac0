/**
 * RestoreObject, and what it is good for: objects in an archive cannot be read before a copy of them was restored. S3
 * takes hours for that; here the copy is there at once, and is told as one that has arrived.
 */
import { type Answer, type Call, findObject, type S3 } from './call.ts';
import type { StoredObject } from './catalog.ts';
import { S3Error } from './errors.ts';
import { receiveXml } from './receive.ts';

const DAY_MS = 24 * 3600 * 1000;
/** API_RestoreObject.html, Tier. */
const TIERS = ['Standard', 'Bulk', 'Expedited'];

/** API_RestoreObject.html: 202 where a copy is made, 200 where there is one, whose time then begins anew. */
export async function restoreObject(call: Call, s3: S3): Promise<Answer> {
  const request = await receiveXml(call, 'RestoreRequest', { digest: 'optional' });
  const object = findObject(call, s3);
  if (!isArchived(object)) {
    throw new S3Error('InvalidObjectState', "Restore is not allowed for the object's current storage class", {
      fields: { StorageClass: object.attributes.storageClass },
    });
  }
  const days = Number(request.Days);
  if (!Number.isInteger(days) || days < 1) throw new S3Error('MalformedXML');
  checkTier(request, object);
  // userguide/restoring-objects.html: the day after the days, at midnight UTC.
  const restoredUntil = (Math.floor(Date.now() / DAY_MS) + days + 1) * DAY_MS;
  s3.catalog.updateObject(call.bucket, { ...object, restoredUntil });
  return { status: isRestored(object) ? 200 : 202 };
}

/** userguide/restoring-objects-retrieval-options.html: nothing is fetched from the deep archive in minutes. */
function checkTier({ Tier, GlacierJobParameters }: Record<string, unknown>, { attributes }: StoredObject): void {
  const parameters = (GlacierJobParameters ?? {}) as { Tier?: unknown };
  const tier = String(parameters.Tier ?? Tier ?? 'Standard');
  if (!TIERS.includes(tier)) throw new S3Error('MalformedXML');
  if (tier === 'Expedited' && attributes.storageClass === 'DEEP_ARCHIVE') {
    throw new S3Error('InvalidArgument', 'Retrieval option is not supported by this storage class');
  }
}

/** Throws InvalidObjectState for what must be restored before it can be read (API_GetObject.html). */
export function refuseArchived(object: StoredObject): void {
  if (!isArchived(object) || isRestored(object)) return;
  throw new S3Error('InvalidObjectState', undefined, { fields: { StorageClass: object.attributes.storageClass } });
}

/** API_HeadObject.html, x-amz-restore. */
export function restoreHeader(object: StoredObject): Record<string, string | undefined> {
  const { restoredUntil } = object;
  if (restoredUntil === undefined || !isRestored(object)) return {};
  return { 'x-amz-restore': `ongoing-request="false", expiry-date="${new Date(restoredUntil).toUTCString()}"` };
}

function isArchived({ attributes: { storageClass } }: StoredObject): boolean {
  return storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE';
}

function isRestored({ restoredUntil = 0 }: StoredObject): boolean {
  return restoredUntil > Date.now();
}

/** PutObjectTagging, GetObjectTagging, DeleteObjectTagging. */
import { checkTags, type Tag } from './attributes.ts';
import { type Answer, type Call, findObject, type S3 } from './call.ts';
import { S3Error } from './errors.ts';
import { receiveXml } from './receive.ts';
import { NAMESPACE, writeXml } from './xml.ts';

export async function putObjectTagging(call: Call, s3: S3): Promise<Answer> {
  const tree = await receiveXml(call, 'Tagging', { digest: 'required' });
  const set = (tree.TagSet ?? {}) as { Tag?: { Key?: string; Value?: string }[] };
  const tags = (set.Tag ?? []).map(({ Key, Value }) => {
    if (Key === undefined || Value === undefined) throw new S3Error('MalformedXML');
    return { Key, Value };
  });
  return setTags(call, s3, checkTags(tags), 200);
}

export function getObjectTagging(call: Call, s3: S3): Answer {
  const { tags } = findObject(call, s3).attributes;
  return { body: writeXml('Tagging', { TagSet: { Tag: tags.map((tag) => ({ ...tag })) } }, NAMESPACE) };
}

export function deleteObjectTagging(call: Call, s3: S3): Answer {
  return setTags(call, s3, [], 204);
}

function setTags(call: Call, s3: S3, tags: Tag[], status: number): Answer {
  const object = findObject(call, s3);
  s3.catalog.updateObject(call.bucket, { ...object, attributes: { ...object.attributes, tags } });
  return { status };
}

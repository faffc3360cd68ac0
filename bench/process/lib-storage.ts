/** The AWS SDK's own upload of a stream, for bench/process/put.ts: `node lib-storage.ts SOURCE BUCKET KEY`. */
import { createReadStream } from 'node:fs';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { MiB } from '../../src/units.ts';

const [source, Bucket, Key] = process.argv.slice(2) as [string, string, string];
const client = new S3Client({ forcePathStyle: true });
const params = { Bucket, Key, Body: createReadStream(source) };
await new Upload({ client, params, partSize: 8 * MiB, queueSize: 4 }).done();

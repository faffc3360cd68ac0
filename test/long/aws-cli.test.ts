/** The AWS CLI against the sandbox, unchanged. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { runs } from '../sandbox/contract.ts';
import { bytes } from '../sandbox/s3-client.ts';

const noCli = !runs('aws', '--version');

describe.skipIf(noCli).each([{ https: false }, { https: true }])(
  'aws (skipped without the AWS CLI), https: $https',
  (options) => {
    it('copies 20 MiB up and down, lists, tells and deletes', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sealift-aws-'));
      const sandbox = await startSandbox({ ...options, buckets: ['cli'] });
      const aws = async (...args: string[]) => {
        const env = { ...process.env, ...sandbox.env };
        return (await promisify(execFile)('aws', args, { env, cwd: folder })).stdout;
      };
      const body = bytes(20 * MiB);
      writeFileSync(join(folder, 'up'), body);

      await aws('s3', 'cp', 'up', 's3://cli/some key/ü');
      expect(await aws('s3', 'ls', 's3://cli/')).toContain('PRE some key/');
      expect(await aws('s3', 'ls', '--recursive', 's3://cli')).toMatch(/20971520 some key\/ü/);
      const head = JSON.parse(await aws('s3api', 'head-object', '--bucket', 'cli', '--key', 'some key/ü'));
      expect(head.ContentLength).toBe(20 * MiB);
      expect(head.ETag).toMatch(/-3"$/);
      await aws('s3', 'cp', 's3://cli/some key/ü', 'down');
      expect(readFileSync(join(folder, 'down')).equals(body)).toBe(true);
      await aws('s3', 'cp', 's3://cli/some key/ü', 's3://cli/copied');
      await aws('s3', 'sync', 's3://cli', 'all');
      expect(readFileSync(join(folder, 'all/copied')).equals(body)).toBe(true);
      await aws('s3', 'rm', '--recursive', 's3://cli');
      expect(await aws('s3', 'ls', 's3://cli')).toBe('');
      await aws('s3', 'rb', 's3://cli');
      await aws('s3', 'mb', 's3://settings');
      const settings = async (call: string, ...args: string[]) => {
        const text = await aws('s3api', call, '--bucket', 'settings', ...args);
        return text === '' ? undefined : JSON.parse(text);
      };
      const json = (value: object) => JSON.stringify(value);
      const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' }, BucketKeyEnabled: true }];
      await settings('put-bucket-encryption', '--server-side-encryption-configuration', json({ Rules }));
      const { ServerSideEncryptionConfiguration } = await settings('get-bucket-encryption');
      expect(ServerSideEncryptionConfiguration).toMatchObject({ Rules });
      // What is of KMS goes over HTTPS alone.
      if (!options.https) await settings('delete-bucket-encryption');
      const lifecycle = {
        Rules: [{ ID: 'a', Status: 'Enabled', Filter: {}, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }],
      };
      await settings('put-bucket-lifecycle-configuration', '--lifecycle-configuration', json(lifecycle));
      expect((await settings('get-bucket-lifecycle-configuration')).Rules).toMatchObject([{ ID: 'a' }]);
      const Statement = [
        { Effect: 'Deny', Principal: '*', Action: 's3:ListBucket', Resource: 'arn:aws:s3:::settings' },
      ];
      await settings('put-bucket-policy', '--policy', json({ Version: '2012-10-17', Statement }));
      expect(JSON.parse((await settings('get-bucket-policy')).Policy).Statement).toEqual(Statement);
      await expect(aws('s3', 'ls', 's3://settings')).rejects.toThrow(/explicit deny in a resource-based policy/);
      await settings('delete-bucket-policy');
      expect(await aws('s3', 'ls', 's3://settings')).toBe('');

      await settings('put-bucket-versioning', '--versioning-configuration', 'Status=Enabled');
      for (const path of ['up', 'down']) await aws('s3', 'cp', path, 's3://settings/a', '--storage-class', 'GLACIER');
      const { Versions } = await settings('list-object-versions', '--prefix', 'a');
      expect(Versions).toMatchObject([{ IsLatest: true }, { IsLatest: false }]);
      const { VersionId } = Versions[1];
      const older = ['--key', 'a', '--version-id', VersionId];
      await settings('restore-object', ...older, '--restore-request', 'Days=1');
      expect((await settings('head-object', ...older)).Restore).toContain('ongoing-request="false"');

      expect(await aws('kms', 'describe-key', '--key-id', 'alias/sandbox')).toContain(sandbox.kmsKeyId);

      await sandbox.close();
      rmSync(folder, { recursive: true });
    });
  },
);

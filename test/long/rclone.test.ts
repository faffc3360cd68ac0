/** rclone against the sandbox, unchanged. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { runs } from '../sandbox/contract.ts';
import { bytes } from '../sandbox/s3-client.ts';

const noRclone = !runs('rclone', 'version');

describe.skipIf(noRclone).each([{ https: false }, { https: true }])(
  'rclone (skipped without rclone), https: $https',
  (options) => {
    it('copies a folder up and down, checks and purges it', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sealift-rclone-'));
      const sandbox = await startSandbox(options);
      const rclone = async (...args: string[]) => {
        // rclone has its own way to trust an authority, and refuses to start with the SDK's.
        const { AWS_CA_BUNDLE, ...aws } = sandbox.env;
        const env = {
          ...process.env,
          ...aws,
          AWS_CA_BUNDLE: undefined,
          RCLONE_CONFIG_SANDBOX_TYPE: 's3',
          // The provider AWS addresses buckets by host name whatever it is told, which an IP address cannot have.
          RCLONE_CONFIG_SANDBOX_PROVIDER: 'Other',
          RCLONE_CONFIG_SANDBOX_ENV_AUTH: 'true',
          RCLONE_CONFIG_SANDBOX_REGION: 'us-east-1',
          RCLONE_CONFIG_SANDBOX_ENDPOINT: sandbox.s3Url,
          RCLONE_CONFIG_SANDBOX_FORCE_PATH_STYLE: 'true',
          ...(AWS_CA_BUNDLE ? { RCLONE_CA_CERT: AWS_CA_BUNDLE } : {}),
        };
        const flags = ['--config', '', '--s3-upload-cutoff', '10M', '--retries', '1'];
        return (await promisify(execFile)('rclone', [...args, ...flags], { env, cwd: folder })).stdout;
      };
      const large = bytes(20 * MiB);
      mkdirSync(join(folder, 'up/a b'), { recursive: true });
      writeFileSync(join(folder, 'up/large'), large);
      writeFileSync(join(folder, 'up/a b/ü+'), 'small');
      writeFileSync(join(folder, 'up/empty'), '');

      await rclone('copy', 'up', 'sandbox:rclone/there');
      expect((await rclone('lsf', '-R', '--files-only', 'sandbox:rclone')).trim().split('\n').sort()).toEqual([
        'there/a b/ü+',
        'there/empty',
        'there/large',
      ]);
      await rclone('check', 'up', 'sandbox:rclone/there', '--download');
      await rclone('copy', 'sandbox:rclone/there', 'down');
      expect(readFileSync(join(folder, 'down/large')).equals(large)).toBe(true);
      await rclone('purge', 'sandbox:rclone');

      await sandbox.close();
      rmSync(folder, { recursive: true });
    });
  },
);

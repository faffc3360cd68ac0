/** How moto's S3 differs from S3, row by row: a list for readers, held equal to what is seen. */
import { expect, it } from 'vitest';
import { runContract } from '../sandbox/contract.ts';
import divergences from '../sandbox/moto-divergences.json' with { type: 'json' };
import { MOTO_VERSION, noMoto, startMoto } from '../support/moto.ts';

const { version, rows: listed } = divergences;

it('moto’s divergences are those of the version under test', () => expect(version).toBe(MOTO_VERSION));

it.skipIf(noMoto)(
  `moto's divergences from the contract are those listed (skipped without moto ${version} and boto3)`,
  async () => {
    const moto = await startMoto();
    try {
      const rows = await runContract({
        AWS_ENDPOINT_URL: moto.url,
        AWS_REGION: 'us-east-1',
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'testing',
        AWS_SECRET_ACCESS_KEY: 'testing',
      });
      const seen = rows.filter(({ expected, got }) => JSON.stringify(expected) !== JSON.stringify(got));
      expect(seen).toEqual(listed);
    } finally {
      await moto.close();
    }
  },
);

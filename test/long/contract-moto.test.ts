/** How moto's S3 differs from S3, row by row: a list for readers, held equal to what is seen. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { runContract, runs } from '../sandbox/contract.ts';
import divergences from '../sandbox/moto-divergences.json' with { type: 'json' };

const { version, rows: listed } = divergences;
const noMoto = !runs('python3', '-c', `import boto3, moto.server; assert moto.__version__ == "${version}"`);

it.skipIf(noMoto)(
  `moto's divergences from the contract are those listed (skipped without moto ${version})`,
  async () => {
    const port = await freePort();
    const moto = spawn('python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(() => fetch(url).then(() => true));
      const rows = await runContract({
        AWS_ENDPOINT_URL: url,
        AWS_REGION: 'us-east-1',
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'testing',
        AWS_SECRET_ACCESS_KEY: 'testing',
      });
      const seen = rows.filter(({ expected, got }) => JSON.stringify(expected) !== JSON.stringify(got));
      expect(seen).toEqual(listed);
    } finally {
      moto.kill();
    }
  },
);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await condition().catch(() => false)) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error('moto did not start');
}

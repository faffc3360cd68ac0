/** moto, a server that speaks S3 in Python: for tests, where it is installed (pip install -r .ci/requirements.txt). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runs } from '../sandbox/contract.ts';
import { freePort, untilAnswers } from './loopback.ts';
import type { Server } from './server-story.ts';

export const MOTO_VERSION = '5.2.1';

export const noMoto = !runs('python3', '-c', `import boto3, moto.server; assert moto.__version__ == "${MOTO_VERSION}"`);

export async function startMoto(): Promise<Server> {
  const port = await freePort();
  const moto = spawn('python3', ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(url);
  return {
    url,
    async close() {
      const gone = once(moto, 'exit');
      moto.kill();
      await gone;
    },
  };
}

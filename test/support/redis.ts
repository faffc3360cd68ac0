/** A real Redis for tests, on this machine alone, with nothing on disk. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

export interface RedisProcess {
  url: string;
  /** Kills it, or does so before it is started again: what it held is gone. */
  kill(): Promise<void>;
  /** Starts it at the same address, empty. */
  start(): Promise<void>;
}

export async function startRedis(): Promise<RedisProcess> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const redis: RedisProcess = {
    url: `redis://127.0.0.1:${port}`,
    async kill() {
      if (!child) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      child = undefined;
      await ended;
    },
    async start() {
      const nothingKept = ['--save', '', '--appendonly', 'no'];
      child = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), ...nothingKept], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      for await (const line of createInterface({ input: child.stdout! })) {
        if (line.includes('Ready to accept connections')) return;
      }
      throw new Error('redis-server ended at once');
    },
  };
  await redis.start();
  return redis;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A real Redis for tests, on this machine alone, with nothing on disk. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { createServer as createTlsServer } from 'node:tls';

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

/** What lies between us and Redis, for a test to cut and to hold up. */
export interface Wire extends AsyncDisposable {
  url: string;
  /** Of connections that are open. */
  readonly count: number;
  /** Cuts the connection over which Redis tells what happens, and no other. */
  cutSubscriber(): void;
  /** Holds up connections from now on: resolves when there is one, to what lets them through. */
  hold(): Promise<() => void>;
}

/** Over TLS where a certificate is given. */
export async function openWire(redisUrl: string, certificate?: { cert: string; key: string }): Promise<Wire> {
  const sockets = new Set<Socket>();
  let subscriber: Socket | undefined;
  let gate: Promise<void> | undefined;
  let onHeld = () => {};
  const pass = async (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    if (gate) onHeld();
    await gate;
    const onward = connect(Number(new URL(redisUrl).port), '127.0.0.1').on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      if (bytes.includes('subscribe')) subscriber = socket;
    });
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  };
  const server = certificate ? createTlsServer(certificate, pass) : createServer(pass);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `${certificate ? 'rediss' : 'redis'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get count() {
      return sockets.size;
    },
    cutSubscriber: () => subscriber!.destroy(),
    async hold() {
      const opened = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      gate = opened.promise;
      onHeld = held.resolve;
      await held.promise;
      return opened.resolve;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Compiles what threads load, once, before the tests. Node strips the types of a TypeScript file with WebAssembly, in
 * every thread anew; the engines of the tests start thousands of threads and stop them at any moment, and V8 is known to
 * crash, once in a great while, when threads tier up and free the wrappers of that code. What is in the compile cache is
 * stripped already; it also spares the tests the CPU. (The package holds JavaScript and never strips anything.)
 * NODE_COMPILE_CACHE says where: see vitest.config.ts.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Where threads begin, and what they load later, when it is needed. */
const DOORS = ['workers/part.ts', 'workers/hash.ts', 'src/stores/s3.ts'];

/** What this thread does: loads all that comes in by these doors. */
const load = `
  const { workerData } = require('node:worker_threads');
  const { flushCompileCache } = require('node:module');
  Promise.all(workerData.doors.map((door) => import(door))).then(() => {
    flushCompileCache();
    process.exit();
  });
`;

export default async function warmUp(): Promise<void> {
  const doors = DOORS.map((path) => join(import.meta.dirname, '../..', path));
  const thread = new Worker(load, { eval: true, env: process.env, workerData: { doors } });
  await new Promise<void>((resolve, reject) => {
    thread.on('error', reject);
    thread.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`The warm-up ended with ${code}`))));
  });
}

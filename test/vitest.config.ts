import { defineConfig } from 'vitest/config';

/** `npm test` runs everything but test/long; `npm run test:long` runs test/long alone. */
const long = process.env.SEALIFT_LONG === '1';

// The processes of the tests inherit it, and so do their threads and the commands they run. `npm ci` clears it away.
process.env.NODE_COMPILE_CACHE ??= new URL('../node_modules/.cache/compiled', import.meta.url).pathname;

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: long ? ['test/long/**/*.test.ts'] : ['test/**/*.test.ts'],
    globalSetup: ['test/support/warm-up.ts'],
    exclude: long ? [] : ['test/long/**'],
    pool: 'forks',
    // What files have in common, the SDK above all, is loaded once a worker, not once a file.
    isolate: false,
    maxWorkers: 3,
    // The sandbox lets go of buffers by the GiB. V8 would collect all garbage for each 64 MiB of them, and mark what the
    // SDK and the tests have loaded each time anew, which took a fifth of the CPU; so it waits for more.
    execArgv: ['--external-memory-accounted-in-global-limit', '--initial-heap-size=96'],
    fileParallelism: !long,
    testTimeout: long ? 1_800_000 : 90_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});

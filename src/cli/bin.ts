#!/usr/bin/env node
/**
 * The command's door. It must run on any Node that reads ES modules, because its first duty is to tell the reader of an
 * old one what to do: nothing else of Sealift may be imported before that.
 */
import v8 from 'node:v8';

const LEAST_NODE = 24;
const USAGE_EXIT = 2;

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  console.error(`sealift: Node ${LEAST_NODE} or newer is needed, this is ${process.version} (node-too-old)`);
  process.exitCode = USAGE_EXIT;
} else {
  // This thread makes little garbage. Its young generation would still grow to 32 MB over a long job, and stay there.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  const { enableCompileCache } = await import('./compile-cache.ts');
  enableCompileCache();
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
}

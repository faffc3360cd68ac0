/** What is the directory store's alone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryStore } from '../../src/stores/directory.ts';
import { storeContract } from './contract.ts';

storeContract('a directory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  const store = new DirectoryStore({ directory });
  return { store, minPartSize: 64 * 1024, flat: true, close: () => rm(directory, { recursive: true }) };
});

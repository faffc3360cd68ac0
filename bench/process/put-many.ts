/** Every file of a folder put through one engine, for bench/process/many.ts: `node put-many.ts LANES STATE_DIR FOLDER URL`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine, kmsKeyring } from '../../src/index.ts';
import { runLanes } from '../../src/parts/lanes.ts';

const [lanes, stateDir, folder, url] = process.argv.slice(2) as [string, string, string, string];
await using engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }), stateDir });
await runLanes({
  items: readdirSync(folder),
  lanes: { count: Number(lanes) },
  work: async (name) => void (await engine.put({ source: join(folder, name), target: `${url}/${name}` })),
});

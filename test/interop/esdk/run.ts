/**
 * The matrix of writers and readers: `npm run test:interop` installs AWS's Python client and moto into a folder for
 * temporary files, starts a sandbox and moto as two KMS that know nothing of each other, lets every writer write messages
 * of all suites, keyrings, frame sizes and lengths it can, and every reader read them. Ends with 1 where a cell is red.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSandbox } from '../../../src/sandbox/server.ts';
import { KiB } from '../../../src/units.ts';
import { type Cell, cellsOf, FRAME_SIZES, KEYRINGS, type Keys, rawKeys, SUITES } from './cells.ts';
import { javascriptPeer } from './javascript.ts';
import { isRed, redLines, runMatrix, tableOf } from './matrix.ts';
import { pythonCommandPeer, pythonPeer, startMoto, virtualEnvironment } from './python.ts';
import { sealiftCommandPeer, sealiftPeer } from './sealift.ts';

/** What is tried with commands, of which each takes a process: one length, in frames of 4 KiB, of a few suites. */
function isTriedByCommand({ suite, keyring, frameSize, length }: Cell): boolean {
  const isSuite = [0x0014, 0x0378, 0x0478, 0x0578].includes(suite);
  return isSuite && keyring.frameSizes === undefined && frameSize === 4 * KiB && length === frameSize + 1;
}

const modern = virtualEnvironment('requirements.txt');
const older = virtualEnvironment('requirements-cli.txt');
const folder = mkdtempSync(join(tmpdir(), 'sealift-interop-'));
const sandbox = await startSandbox({});
Object.assign(process.env, sandbox.env);
const moto = await startMoto(modern, sandbox.env.AWS_REGION!);
try {
  const ours = { type: 'kms', arn: sandbox.kmsKeyId, endpoint: sandbox.kmsUrl } as const;
  const keys: Keys = { ...rawKeys(), sandbox: ours, moto: moto.key };
  const peers = [
    pythonPeer(keys, { name: 'Python 4', bin: modern, kind: 'mpl' }),
    pythonPeer(keys, { name: 'Python 3', bin: older, kind: 'legacy' }),
    javascriptPeer(keys),
    sealiftPeer(keys, folder),
    pythonCommandPeer(keys, older, isTriedByCommand),
    sealiftCommandPeer(keys, folder, isTriedByCommand),
  ];
  const cells = cellsOf(SUITES, KEYRINGS);
  const onBatch = (about: string) => console.log(about);
  const outcomes = await runMatrix({ writers: peers, readers: peers, cells, folder, onBatch });
  console.log(`\nMessages opened, of as many. Frames of ${FRAME_SIZES.join(', ')} bytes, and none at all;`);
  console.log('lengths of 0, 1, a frame less one byte, a frame, a byte more, and three frames.\n');
  console.log(
    tableOf(
      outcomes,
      peers.map(({ name }) => name),
    ),
  );
  const red = redLines(outcomes);
  console.log(`\n${outcomes.length - red.length} opened, ${red.length} red`);
  console.log(red.join('\n'));
  if (outcomes.some(isRed)) process.exitCode = 1;
} finally {
  moto.stop();
  await sandbox.close();
  rmSync(folder, { recursive: true });
}

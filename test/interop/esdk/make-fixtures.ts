/**
 * Makes test/vectors/esdk-official.json: messages that AWS's own clients wrote, in all suites, under raw keys, with and
 * without frames, so that tests open them where those clients are not. `node test/interop/esdk/make-fixtures.ts` installs
 * what it needs; its keys and messages are new each time.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cell, cellsOf, type KeyringRow, type Keys, type Peer, rawKeys, SUITES } from './cells.ts';
import { javascriptPeer } from './javascript.ts';
import { runMatrix } from './matrix.ts';
import { pythonPeer, virtualEnvironment } from './python.ts';

const OUT = join(import.meta.dirname, '../../vectors/esdk-official.json');

/** Frames of 512 bytes for all, and one row with small keys. */
const ROWS: readonly KeyringRow[] = [
  { name: 'raw AES', writes: ['aes'], reads: ['aes'], frameSizes: [512] },
  { name: 'raw RSA', writes: ['rsa'], reads: ['rsa'], frameSizes: [512] },
  { name: 'AES and RSA', writes: ['aes-192', 'oaep-sha384'], reads: ['oaep-sha384'], frameSizes: [512] },
];

interface Fixture {
  writer: string;
  suite: number;
  frameSize: number;
  length: number;
  /** Name of the key that must open it. */
  key: string;
  sha256: string;
  /** Base64. */
  message: string;
}

const folder = mkdtempSync(join(tmpdir(), 'sealift-fixtures-'));
try {
  const keys: Keys = rawKeys();
  const writers: Peer[] = [
    pythonPeer(keys, { name: 'Python 4.0.7', bin: virtualEnvironment('requirements.txt'), kind: 'mpl' }),
    pythonPeer(keys, { name: 'Python 3.3.1', bin: virtualEnvironment('requirements-cli.txt'), kind: 'legacy' }),
    javascriptPeer(keys),
  ];
  const fixtures: Fixture[] = [];
  for (const writer of writers) {
    const tamper = ({ suite, frameSize, length, keyring }: Cell, sealed: string) => {
      const sha256 = createHash('sha256')
        .update(readFileSync(join(folder, `plain-${length}`)))
        .digest('hex');
      const message = readFileSync(sealed).toString('base64');
      fixtures.push({ writer: writer.name, suite, frameSize, length, key: keyring.reads[0]!, sha256, message });
    };
    const cells = cellsOf(SUITES, ROWS).filter(isWanted);
    const red = (await runMatrix({ writers: [writer], readers: [writer], cells, folder, tamper })).filter(
      ({ error }) => error !== undefined,
    );
    if (red.length > 0) throw new Error(red[0]!.error);
  }
  const used = Object.fromEntries(Object.entries(keys).filter(([name]) => fixtures.some(({ key }) => key === name)));
  const lines = fixtures.map((fixture) => `    ${JSON.stringify(fixture)}`).join(',\n');
  writeFileSync(OUT, `{\n  "keys": ${JSON.stringify(used)},\n  "messages": [\n${lines}\n  ]\n}\n`);
  console.log(`${fixtures.length} messages in ${OUT}`);
} finally {
  rmSync(folder, { recursive: true });
}

/** All lengths under one keyring; under the others two are enough. */
function isWanted({ keyring, frameSize, length }: Cell): boolean {
  return keyring.name === 'raw AES' || (frameSize === 512 && [0, 513].includes(length));
}

/**
 * What a put of 1 GiB over HTTPS costs: sealed by us, signed and not, by `aws s3 cp` without encryption, by rclone's crypt
 * remote. `node bench/peers.ts sealift` runs only those with that word in their names.
 * `node bench/peers.ts` runs them in turn, five rounds, against a sandbox that keeps no bytes, and prints the medians of
 * each and their spread: CPU of the command and all it starts, wall time, and the peak of its largest process. The file
 * is random (the kernel zeroes pages for a sparse one at a cost of its own) and in the page cache.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GiB, MiB } from '../src/units.ts';
import { runs } from '../test/sandbox/contract.ts';
import { type SandboxProcess, startSandboxProcess } from '../test/support/cli.ts';
import { sha256Of, writeRandomFile } from '../test/support/files.ts';
import { type Cost, measure } from '../test/support/measure.ts';

const SIZE = GiB;
const ROUND_COUNT = 5;
const bin = join(import.meta.dirname, '../src/cli/bin.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-peers-'));
const source = join(folder, 'source');

interface Peer {
  name: string;
  isThere: boolean;
  command: (round: number) => string[];
  env: (sandbox: SandboxProcess) => Record<string, string | undefined>;
}

const ours = (name: string, ...more: string[]): Peer => ({
  name,
  isThere: true,
  command: (round) => {
    const flags = ['--kms-key', 'alias/sandbox', '--state-dir', join(folder, 'jobs'), ...more];
    return [process.execPath, bin, 'put', source, `s3://bkt/${name}/${round}`, ...flags];
  },
  env: ({ env }) => env,
});

const all: Peer[] = [
  ours('sealift put'),
  ours('sealift put --sign', '--sign'),
  {
    name: 'aws s3 cp',
    isThere: runs('aws', '--version'),
    command: (round) => ['aws', 's3', 'cp', '--only-show-errors', source, `s3://bkt/aws/${round}`],
    env: ({ env }) => env,
  },
  {
    name: 'rclone crypt',
    isThere: runs('rclone', 'version'),
    command: (round) => ['rclone', 'copyto', '--config', '', source, `sealed:${round}`],
    env: rcloneEnv,
  },
];

/** A crypt remote over an S3 remote, both told by variables. The password is the word sealift, as `rclone obscure` hides it. */
function rcloneEnv({ env: { AWS_CA_BUNDLE, ...env } }: SandboxProcess): Record<string, string | undefined> {
  return {
    ...env,
    // rclone has its own way to trust an authority, and refuses to start with the SDK's.
    AWS_CA_BUNDLE: undefined,
    RCLONE_CA_CERT: AWS_CA_BUNDLE,
    RCLONE_CONFIG_PLAIN_TYPE: 's3',
    RCLONE_CONFIG_PLAIN_PROVIDER: 'Other',
    RCLONE_CONFIG_PLAIN_ENV_AUTH: 'true',
    RCLONE_CONFIG_PLAIN_REGION: env.AWS_REGION,
    RCLONE_CONFIG_PLAIN_ENDPOINT: env.AWS_ENDPOINT_URL_S3,
    RCLONE_CONFIG_PLAIN_FORCE_PATH_STYLE: 'true',
    RCLONE_CONFIG_SEALED_TYPE: 'crypt',
    RCLONE_CONFIG_SEALED_REMOTE: 'plain:bkt/rclone',
    RCLONE_CONFIG_SEALED_PASSWORD: 'YA7hXoLK1Zg4ytv1lwJWV0s4xYdrqEk',
  };
}

const peers = all.filter(({ name }) => name.includes(process.argv[2] ?? ''));

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Median, and the least and most in brackets. */
function summary(values: readonly number[], digits: number): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((v) =>
    v.toFixed(digits),
  );
  return `${middle} (${least} to ${most})`;
}

const costs = new Map<Peer, Cost[]>(peers.filter(({ isThere }) => isThere).map((peer) => [peer, []]));
for (const { name, isThere } of peers) if (!isThere) console.log(`${name}: not on this machine`);

writeRandomFile(source, SIZE);
await sha256Of(source);
const sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt', '--discard'], join(folder, 'requests.log'));
try {
  for (let round = 1; round <= ROUND_COUNT; round++) {
    for (const [{ name, command, env }, list] of costs) {
      const cost = await measure(command(round), { env: env(sandbox) });
      if (cost.exit !== 0) throw new Error(`${name} ended with ${cost.exit}: ${cost.stderr}`);
      list.push(cost);
    }
  }
  const row = (cells: string[]) =>
    console.log(
      cells
        .map((cell) => cell.padEnd(24))
        .join('')
        .trimEnd(),
    );
  row([`1 GiB, ${ROUND_COUNT} rounds`, 'CPU s', 'wall s', 'peak MiB']);
  for (const [{ name }, list] of costs) {
    const cpu = list.map(({ cpuSeconds }) => cpuSeconds);
    const wall = list.map(({ seconds }) => seconds);
    const peak = list.map(({ peakRssBytes }) => peakRssBytes / MiB);
    row([name, summary(cpu, 2), summary(wall, 2), summary(peak, 0)]);
  }
} finally {
  await sandbox.stop();
  rmSync(folder, { recursive: true });
}

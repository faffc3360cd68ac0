/**
 * The state folder, where ledgers live: ours alone (0700), and on a local disk, because SQLite's locks and its shared
 * memory do not hold across a network.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, type Stats, statfsSync, statSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { SealiftError } from '../errors.ts';

/** Numbers of statfs(2), Linux. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
]);

/**
 * The state folder's real path, made if it is not there: `path`, else `$XDG_STATE_HOME/sealift`, else
 * `~/.local/state/sealift`. Throws `state-dir-unsafe` where others could read or change it.
 */
export function openStateDir(path: string = defaultPath()): string {
  let stats: Stats;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    stats = statSync(path);
  } catch (cause) {
    throw unsafe(path, `cannot be made: ${(cause as Error).message}`, 'Name another with --state-dir.', cause);
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid) {
    throw unsafe(path, `belongs to user ${stats.uid}, not to you`, 'Name one of your own with --state-dir.');
  }
  if (uid !== undefined && (stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    throw unsafe(
      path,
      `is open to others (mode ${mode})`,
      `Run: chmod 700 '${path}', or name another with --state-dir.`,
    );
  }
  const network = networkFileSystem(path);
  if (network) throw unsafe(path, `is on ${network}, a network file system`, 'Name a local one with --state-dir.');
  return realpathSync(path);
}

/** Which machine this is: a hash, because the system's own id is not to be passed on. */
export function machineId(): string {
  let id: string;
  try {
    id = readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    id = hostname();
  }
  return createHash('sha256').update(`sealift machine 1 ${id}`).digest('hex').slice(0, 32);
}

/** The kind of network file system that a statfs type stands for, or undefined for a local one. */
export function networkFileSystemOf(statfsType: number): string | undefined {
  return NETWORK_FILE_SYSTEMS.get(statfsType);
}

function networkFileSystem(path: string): string | undefined {
  return process.platform === 'linux' ? networkFileSystemOf(statfsSync(path).type) : undefined;
}

/** The XDG rules: a relative path in the variable counts as none. */
function defaultPath(): string {
  const base = process.env.XDG_STATE_HOME ?? '';
  return join(isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'sealift');
}

function unsafe(path: string, problem: string, hint: string, cause?: unknown): SealiftError {
  return new SealiftError('state-dir-unsafe', `The state folder ${path} ${problem}`, { hint, cause });
}

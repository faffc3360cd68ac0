/**
 * Ceph's S3, for tests where it is installed: one monitor, one OSD that keeps everything in memory, and radosgw, all on
 * the loopback address, in one folder, gone afterwards. On Debian:
 * `apt-get install --no-install-recommends radosgw ceph-mon ceph-osd`. It needs no root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runs } from '../sandbox/contract.ts';
import { freePort, untilAnswers } from './loopback.ts';
import { ACCESS_KEY, type Server } from './server-story.ts';

export const RADOSGW_VERSION = '16.2.15';

const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool'];

export const noRadosgw =
  !PROGRAMS.every((program) => runs(program, '--version')) ||
  !execFileSync('radosgw', ['--version'], { encoding: 'utf8' }).includes(` ${RADOSGW_VERSION} `);

export async function startRadosgw(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-ceph-'));
  const config = join(folder, 'ceph.conf');
  const daemons: ChildProcess[] = [];
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, ['-c', config, ...args], { stdio: 'pipe', timeout: 120_000 });
  const start = (program: string, ...args: string[]) =>
    daemons.push(spawn(program, ['-c', config, '-f', ...args], { stdio: 'ignore' }));

  const monitor = `[v2:127.0.0.1:${await freePort()}]`;
  const port = await freePort();
  const fsid = randomUUID();
  const osd = randomUUID();
  for (const name of ['mon', 'osd', 'rgw']) mkdirSync(join(folder, name));
  writeFileSync(config, configuration({ folder, fsid, monitor, port }));
  const map = join(folder, 'monmap');
  execFileSync('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', monitor, map], { stdio: 'pipe' });
  run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map);
  start('ceph-mon', '-i', 'a');
  run('ceph', 'osd', 'new', osd);
  run('ceph-osd', '--mkfs', '-i', '0', '--osd-uuid', osd);
  start('ceph-osd', '-i', '0');
  const user = ['--uid=test', '--display-name=test', `--access-key=${ACCESS_KEY}`, `--secret-key=${ACCESS_KEY}`];
  run('radosgw-admin', 'user', 'create', ...user);
  start('radosgw', '-n', 'client.admin');
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(url);
  return {
    url,
    async close() {
      for (const daemon of daemons.reverse()) {
        const gone = once(daemon, 'exit');
        daemon.kill('SIGKILL');
        await gone;
      }
      rmSync(folder, { recursive: true });
    },
  };
}

function configuration(about: { folder: string; fsid: string; monitor: string; port: number }): string {
  const { folder, fsid, monitor, port } = about;
  return `[global]
fsid = ${fsid}
mon host = ${monitor}
auth cluster required = none
auth service required = none
auth client required = none
# Without keys there is no secure mode, which radosgw would insist on.
ms mon client mode = crc
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = ${folder}
admin socket =
pid file =
log file = ${folder}/$name.log
mon data = ${folder}/mon
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = 1G
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${port}
`;
}

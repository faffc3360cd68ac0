import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { machineId, networkFileSystemOf, openStateDir } from '../../src/ledger/state-dir.ts';
import { codeOf, StateDir } from './fixture.ts';

afterEach(() => vi.unstubAllEnvs());

test('the folder is made with its parents, for its owner alone', () => {
  using dir = new StateDir();
  const path = join(dir.path, 'a', 'b');
  expect(openStateDir(path)).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(openStateDir(path)).toBe(path);
});

test('without a path it lies where XDG says, and a relative XDG_STATE_HOME counts as none', () => {
  using dir = new StateDir();
  vi.stubEnv('HOME', dir.path);
  vi.stubEnv('XDG_STATE_HOME', join(dir.path, 'xdg'));
  expect(openStateDir()).toBe(join(dir.path, 'xdg', 'sealift'));
  for (const none of ['', 'relative']) {
    vi.stubEnv('XDG_STATE_HOME', none);
    expect(openStateDir()).toBe(join(dir.path, '.local', 'state', 'sealift'));
  }
});

test('a symbolic link comes out as the folder it leads to', () => {
  using dir = new StateDir();
  const real = join(dir.path, 'real');
  mkdirSync(real, { mode: 0o700 });
  symlinkSync(real, join(dir.path, 'link'));
  expect(openStateDir(join(dir.path, 'link'))).toBe(real);
});

test.each([0o701, 0o710, 0o720, 0o740, 0o755, 0o777])('a folder of mode %o is refused', (mode) => {
  using dir = new StateDir();
  chmodSync(dir.path, mode);
  expect(() => openStateDir(dir.path)).toThrow(
    expect.objectContaining({ code: 'state-dir-unsafe', hint: expect.stringContaining('--state-dir') }),
  );
});

test("somebody else's folder is refused", () => {
  using dir = new StateDir();
  // Only root can give a folder away; to anybody else the root folder is somebody else's.
  const isRoot = process.getuid!() === 0;
  if (isRoot) chownSync(dir.path, 12345, 12345);
  const unsafe = { code: 'state-dir-unsafe', message: expect.stringContaining('belongs to user') };
  expect(() => openStateDir(isRoot ? dir.path : '/')).toThrow(expect.objectContaining(unsafe));
});

test('a file in its place is refused', () => {
  using dir = new StateDir();
  writeFileSync(join(dir.path, 'file'), '');
  expect(codeOf(() => openStateDir(join(dir.path, 'file')))).toBe('state-dir-unsafe');
  expect(codeOf(() => openStateDir(join(dir.path, 'file', 'below')))).toBe('state-dir-unsafe');
});

test.each([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0xef53, undefined],
  [0x58465342, undefined],
  [0x9123683e, undefined],
  [0x01021994, undefined],
])('statfs type %i is %s', (type, name) => {
  expect(networkFileSystemOf(type)).toBe(name);
});

test('the machine has one id, which is not its own id', () => {
  expect(machineId()).toMatch(/^[0-9a-f]{32}$/);
  expect(machineId()).toBe(machineId());
});

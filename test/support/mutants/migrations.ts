/** Migrations out of a bucket: nothing is written where it must not be, nothing unproven, and nothing that nobody knows of. */
import type { Mutant } from '../mutation.ts';

const FOLDERS = 'test/parts/folders.test.ts';
const RESTORE = 'test/migrate/restore.test.ts';
const MIGRATE = 'test/migrate/migrate.test.ts';
const CARRY = 'test/migrate/carry.test.ts';
const SWEEP = 'test/migrate/sweep.test.ts';
const PREVIEW = 'test/migrate/preview.test.ts';

export const migrations: Mutant[] = [
  {
    breaks: 'no name leads out of the folder',
    file: 'src/parts/file-names.ts',
    find: "  if (part === '.' || part === '..') return `it has the part ${JSON.stringify(part)}`;\n",
    replace: '',
    test: FOLDERS,
    only: 'no name leads out',
  },
  {
    breaks: 'nor through a link',
    file: 'src/parts/folders.ts',
    find: `  if (!(await lstat(path)).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  return await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
`,
    replace: '  void [lstat, O_NOFOLLOW];\n  return await open(path, O_RDONLY | O_DIRECTORY);\n',
    test: FOLDERS,
    only: 'leads through what is no folder',
  },
  {
    breaks: 'nor through one that was put there since',
    file: 'src/parts/folders.ts',
    find: "process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;",
    replace: 'path;',
    test: FOLDERS,
    only: 'swapped for a link',
  },
  {
    breaks: 'a file that stands there stays',
    file: 'src/parts/restored-file.ts',
    find: '    if (!overwrite) return await moveToNewName(hidden, target);\n',
    replace: '    void [overwrite, moveToNewName];\n',
    test: FOLDERS,
    only: 'a file stays unless',
  },
  {
    breaks: 'an object that was moved in the bucket is not taken for another',
    file: 'src/migrate/unlock.ts',
    find: 'at, { keyring }, rules);\n  return keys;',
    replace: 'at, { keyring }, { ...rules, allowRelocated: true });\n  return keys;',
    test: RESTORE,
    only: 'moved in the bucket',
  },
  {
    breaks: 'an object has an id in the ledger before it is sent',
    file: 'src/migrate/carry.ts',
    find: '      await ledger.write([...prepared.values()].map(({ object }) => object));\n',
    replace: '      void ledger;\n',
    test: CARRY,
    only: 'knows what is sent before',
  },
  {
    breaks: 'a file has an id in the ledger before it is sent',
    file: 'src/migrate/small.ts',
    find: '      await run.ledger.write(ready.map(({ object }) => object));\n',
    replace: '      void run.ledger.write(ready.map(({ object }) => ({ ...object, target: undefined })));\n',
    test: MIGRATE,
    only: 'has its id in the ledger',
  },
  {
    breaks: 'what was sent before a second crash is known too',
    file: 'src/migrate/message.ts',
    find: 'return [{ sealiftId, messageId }, ...earlier];',
    replace: 'return [{ sealiftId, messageId }];',
    test: MIGRATE,
    only: 'of what was being sent when we were killed',
  },
  {
    breaks: 'a small object replaces nothing',
    file: 'src/parts/send-objects.ts',
    find: 'if (!object.overwrite && !isEarlier(there.metadata[ID_METADATA], object.earlierIds)) {',
    replace: 'if (!there) {',
    test: MIGRATE,
    only: 'what is there and the same is skipped',
  },
  {
    breaks: 'what was made before its source changed is not taken for it',
    file: 'src/parts/send-objects.ts',
    find: '  if (!facts.every(([name, value]) => metadata[name] === value)) return undefined;\n',
    replace: '',
    test: MIGRATE,
    only: 'that has changed since we were killed',
  },
  {
    breaks: 'a source is deleted only after its object was opened',
    file: 'src/migrate/sweep.ts',
    find: '  countCalls(run, await verify({ source: url, seal, customerKey, signal: pause.signal, expects }, tools));\n',
    replace: '  void [countCalls, verify, seal, customerKey, pause, expects, tools];\n',
    test: MIGRATE,
    only: 'sources are deleted',
  },
  {
    breaks: 'what keeps all from being opened pauses the deletion',
    file: 'src/migrate/sweep.ts',
    find: '        if (failsAll(error)) throw error;\n',
    replace: '        void failsAll;\n',
    test: MIGRATE,
    only: 'pauses the deletion',
  },
  {
    breaks: "an object under somebody else's key stops no other",
    file: 'src/migrate.ts',
    find: 'opener: openerOfMany(opener), source }',
    replace: 'opener: openerOfMany(opener) && opener, source }',
    test: CARRY,
    only: 'a key of somebody else',
  },
  {
    breaks: 'and only if it is what was sealed',
    file: 'src/migrate/sweep.ts',
    find: 'if (now.size !== size || now.mtimeNs !== source.mtimeNs || now.inode !== source.inode) {',
    replace: "if (now.size === -1 && source.mtimeNs === '' && size === 0) {",
    test: MIGRATE,
    only: 'sources are deleted',
  },
  {
    breaks: 'a key that is disabled in the middle pauses the job',
    file: 'src/migrate/key-watch.ts',
    find: '    if (AGAINST_KEY.has(error.code)) pause.because(error);\n',
    replace: '    void [AGAINST_KEY, pause, error];\n',
    test: 'test/migrate/key-watch.test.ts',
    only: 'disabled pauses the job',
  },
  {
    breaks: 'a state folder in the source is not moved',
    file: 'src/migrate/filter.ts',
    find: 'return this.#leftOut !== undefined && name.startsWith(this.#leftOut);',
    replace: 'return this.#leftOut === name;',
    test: PREVIEW,
    only: 'a state folder inside the source',
  },
  {
    breaks: 'a dry run makes no folder',
    file: 'src/migrate/preview.ts',
    find: 'await target.find(object.name)',
    replace: 'await target.place(object.name)',
    test: PREVIEW,
    only: 'no folder is made',
  },
  {
    breaks: 'nor is another file that has taken its name, with its size and time',
    file: 'src/migrate/sweep.ts',
    find: ' || now.inode !== source.inode',
    replace: '',
    test: SWEEP,
    only: 'another file of the same name',
  },
  {
    breaks: 'nor one that its object was not made of',
    file: 'src/migrate/sweep.ts',
    find: '    checkMadeOf(url, object, found);\n',
    replace: '    void checkMadeOf;\n',
    test: SWEEP,
    only: 'its object was not made of',
  },
  {
    breaks: 'nor where another object stands in the place of ours',
    file: 'src/migrate/sweep.ts',
    find: '    checkSame(url, object, found);\n',
    replace: '    void checkSame;\n',
    test: SWEEP,
    only: 'another object has taken its place',
  },
];

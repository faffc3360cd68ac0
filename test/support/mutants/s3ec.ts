/** Objects of the S3 Encryption Client: one key for one message, hashes that stay secret, a tag made from all parts. */
import type { Mutant } from '../mutation.ts';

const PUT = 'test/put/s3ec.test.ts';
const FILE = 'test/put/instruction-file.test.ts';
const FORMAT = 'test/formats/s3ec-header.test.ts';

export const s3ec: Mutant[] = [
  {
    breaks: 'a data key that seals by itself seals one object',
    file: 'src/put/s3ec.ts',
    find: '      cacheable: this.#suite.commitmentSize > 0,\n',
    replace: '      cacheable: true,\n',
    test: PUT,
    only: 'version 2 never does',
  },
  {
    breaks: 'hashes of parts are in the ledger only sealed',
    file: 'src/put/announce.ts',
    find: 'const sealedHash = hash && sealHash(attempt, { jobId: ledger.job.id, number }, hash);',
    replace: 'const sealedHash = hash && Buffer.from(hash);\n  void sealHash;',
    test: PUT,
    only: 'only sealed',
  },
  {
    breaks: 'a sealed hash is bound to its part',
    file: 'src/put/ending.ts',
    find: 'Buffer.from(`hash of part ${number} of job ${jobId}`)',
    replace: 'Buffer.from(`hash of part 1 of job ${jobId}`.replace(String(number), "1"))',
    test: PUT,
    only: 'each for its own part',
  },
  {
    breaks: 'a fingerprint covers the hash of the part',
    file: 'src/formats/s3ec/fingerprint.ts',
    find: '.update(fields).update(hash).digest()',
    replace: '.update(fields).digest()',
    test: FORMAT,
    only: 'the fingerprint',
  },
  {
    breaks: 'a fingerprint covers the place of the part',
    file: 'src/formats/s3ec/fingerprint.ts',
    find: '  fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);\n',
    replace: '',
    test: FORMAT,
    only: 'the fingerprint',
  },
  {
    breaks: 'the tag waits for the hashes of all parts',
    file: 'src/put/ending.ts',
    find: 'while (this.#hashes.size < message.layout.partCount) {',
    replace: 'while (this.#hashes.size < 1) {',
    test: 'test/put/ending.test.ts',
    only: 'in the order',
  },
  {
    breaks: 'who waits for the tag hears that a part failed',
    file: 'src/put/ending.ts',
    find: '      if (this.#stopped) throw this.#stopped.reason;\n',
    replace: '      if (this.#stopped) return Buffer.alloc(16);\n',
    test: 'test/put/ending.test.ts',
    only: 'a part failed',
  },
  {
    breaks: 'what one GCM message cannot hold is refused',
    file: 'src/formats/s3ec/layout.ts',
    find: '  if (plainSize > MAX_PLAIN_SIZE) {\n',
    replace: '  if (plainSize > 2 * MAX_PLAIN_SIZE) {\n',
    test: PUT,
    only: 'more than one GCM message',
  },
  {
    breaks: 'where the object fails its older instruction file is put back',
    file: 'src/put/instructions.ts',
    find: "if (SealiftError.from(error).code !== 'interrupted') {",
    replace: 'if (SealiftError.from(error).code === undefined) {',
    test: FILE,
    only: 'the older file is put back, and',
  },
  {
    breaks: 'an object that is there keeps its instruction file',
    file: 'src/put/instructions.ts',
    find: 'if (object?.metadata[ID_METADATA] === sealiftId) return true;',
    replace: 'void object;',
    test: FILE,
    only: 'a cancel leaves it its file',
  },
  {
    breaks: 'an instruction file is replaced only if it is what was read',
    file: 'src/put/instructions.ts',
    find: 'if (!isOld) throw targetChanged(file.url);',
    replace: 'if (!isOld && !there) throw targetChanged(file.url);',
    test: FILE,
    only: 'no longer what was read',
  },
  {
    breaks: 'an instruction file of which no version is kept is replaced only with --yes',
    file: 'src/put/instructions.ts',
    find: 'if (!request.yes && keepsNoVersion(there))',
    replace: 'if (request.yes === false && keepsNoVersion(there))',
    test: FILE,
    only: 'not ours is left alone',
  },
  {
    breaks: 'an object that arrived late gets its instruction file',
    file: 'src/put/resume.ts',
    find: '  await writeInstructions(run, row);\n',
    replace: '  void writeInstructions;\n',
    test: FILE,
    only: 'writes its own again',
  },
];

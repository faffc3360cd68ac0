/** Safety rule 1, of what is taken up again: a part matches what was promised of it, or there is a new key. */
import type { Mutant } from '../mutation.ts';

const STORIES = 'test/stories/safety-nonces.test.ts';

export const resume: Mutant[] = [
  {
    breaks: 'a part sealed again must match its fingerprint',
    file: 'src/ledger/part-rows.ts',
    find: '!sameBytes(known.fingerprint, fingerprint) || known.sealedSize !== sealedSize || known.crc32 !== crc32',
    replace: 'known.sealedSize !== sealedSize',
    test: STORIES,
    only: 'part has changed',
  },
  {
    breaks: 'the fingerprint itself is compared, not only size and CRC',
    file: 'src/ledger/part-rows.ts',
    find: '!sameBytes(known.fingerprint, fingerprint) || ',
    replace: '',
    test: 'test/ledger/ledger.test.ts',
    only: 'one intent for ever',
  },
  {
    breaks: 'a mismatch prints neither value',
    file: 'src/ledger/part-rows.ts',
    find: '      throw otherThanBefore(number);\n',
    replace: `      const error = otherThanBefore(number);
      error.message += Buffer.from(known.fingerprint).toString('hex');
      throw error;
`,
    test: 'test/ledger/ledger.test.ts',
    only: 'one intent for ever',
  },
  {
    breaks: 'a changed source starts over under a new key',
    file: 'src/put/parts.ts',
    find: 'if (CHANGED.includes(error.code) && attempt.resumed) {',
    replace: 'if (CHANGED.includes(error.code) && !attempt) {',
    test: STORIES,
    only: 'part has changed',
  },
  {
    breaks: 'the upload under the old key is aborted',
    file: 'src/put/give-up.ts',
    find: 'if (uploadId !== undefined) await store.abortUpload(key, uploadId);',
    replace: 'if (uploadId !== undefined) return true;',
    test: STORIES,
    only: 'part has changed',
  },
  {
    breaks: 'of a part sealed twice no frame leaves that is not as in pass one',
    file: 'src/parts/seal-twice.ts',
    find: 'if (!piece.tags.equals(before)) throw sourceChanged(input.source);',
    replace: '',
    test: 'test/parts/seal-twice.test.ts',
  },
  {
    breaks: 'a resume reads ListParts first',
    file: 'src/put/resume.ts',
    find: '  refuseStaleLedger(run, stored, receipts);\n',
    replace: '',
    test: STORIES,
    only: 'older than the upload',
  },
  {
    breaks: 'a part without an intent means a stale ledger',
    file: 'src/put/resume.ts',
    find: 'if (intent && agrees(intent, part) &&',
    replace: 'if ((!intent || agrees(intent, part)) &&',
    test: STORIES,
    only: 'does not know',
  },
  {
    breaks: 'a part unlike what the ledger has of it means a stale ledger',
    file: 'src/put/resume.ts',
    find: 'if (intent && agrees(intent, part) && (!receipt || receipt.etag === part.etag)) continue;',
    replace: 'if (intent) continue;',
    test: STORIES,
    only: 'not as its',
  },
  {
    breaks: 'a part unlike its intent, whose receipt never came, means a stale ledger',
    file: 'src/put/resume.ts',
    find: 'agrees(intent, part) && ',
    replace: '',
    test: STORIES,
    only: 'not as its intent',
  },
  ...['machineId', 'path', 'inode'].map((name) => ({
    breaks: `a ledger knows its ${name}`,
    file: 'src/ledger/job-row.ts',
    find: `made.${name} === now.${name}`,
    replace: `made.${name} !== ''`,
    test: STORIES,
    only: 'made with another',
  })),
  {
    breaks: 'a ledger opened elsewhere can only abort or start over',
    file: 'src/ledger/job-file.ts',
    find: '        if (!evenIfMoved) checkPlace(place, files);\n',
    replace: '',
    test: 'test/ledger/damage.test.ts',
    only: 'copied or moved',
  },
  {
    breaks: 'what was interrupted before an upload or in a PutObject is not resumed under the same key',
    file: 'src/put/resume.ts',
    find: "throw new StartOver('The job was interrupted before anything was acknowledged', undefined);",
    replace: 'return { attempt };',
    test: STORIES,
    only: 'was not acknowledged',
  },
];

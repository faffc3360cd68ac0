/** Safety rule 1: no nonce ever seals two plaintexts, header included. */
import type { Mutant } from '../mutation.ts';

const STORIES = 'test/stories/safety-nonces.test.ts';
const SECRETS = 'test/stories/safety-secrets.test.ts';
const FORMATS = 'test/formats/keys.test.ts';
const FINGERPRINT = 'src/formats/esdk/fingerprint.ts';

export const nonces: Mutant[] = [
  {
    breaks: 'a frame has its own nonce',
    file: 'src/formats/esdk/seal-frames.ts',
    find: 'nonce.writeUInt32BE(number, NONCE_SIZE - 4);',
    replace: 'nonce.writeUInt32BE(1, NONCE_SIZE - 4);',
    test: 'test/formats/frames.test.ts',
    only: 'nonces',
  },
  {
    breaks: 'a part never seals a frame of the next',
    file: 'src/formats/esdk/seal-frames.ts',
    find: "if (number > this.#lastFrame) throw new RangeError('plain: expected fewer bytes in this part');",
    replace: '',
    test: 'test/formats/frames.test.ts',
    only: 'never seals',
  },
  {
    breaks: 'a new attempt has a new message id',
    file: 'src/put/esdk.ts',
    find: 'boundMessageId({ random: freshRandom(16), objectKey',
    replace: 'boundMessageId({ random: Buffer.alloc(16, 7), objectKey',
    test: STORIES,
    only: 'aborted elsewhere',
  },
  {
    breaks: 'a message id has bytes of the operating system in it',
    file: 'src/random.ts',
    find: 'bytes[index]! ^= system[index]!;',
    replace: 'bytes[index]! ^= 0;',
    test: SECRETS,
    only: 'message ids',
  },
  {
    breaks: "a message id has bytes of OpenSSL's generator in it",
    file: 'src/random.ts',
    find: 'bytes[index]! ^= system[index]!;',
    replace: 'bytes[index] = system[index]!;',
    test: SECRETS,
    only: 'message ids',
  },
  {
    breaks: 'a lost upload gets a new key',
    file: 'src/put/resume.ts',
    find: "throw new StartOver('The upload is gone: it was aborted or completed elsewhere', lost(run));",
    replace: 'return { attempt: { ...attempt, row: { ...row, uploadId: undefined } } };',
    test: STORIES,
    only: 'aborted elsewhere',
  },
  {
    breaks: 'an upload lost while parts are sent gets a new key',
    file: 'src/put/parts.ts',
    find: "if (error.code === 'upload-lost') return new StartOver('The upload is gone: it was aborted elsewhere', error);",
    replace: '',
    test: STORIES,
    only: 'aborted while parts are sent',
  },
  {
    breaks: 'a Complete refused with a conflict (409) means a lost upload',
    file: 'src/stores/s3-errors.ts',
    find: "? ['upload-lost', START_OVER]",
    replace: "? ['store-unavailable', TRY_LATER]",
    test: STORIES,
    only: 'conflict',
  },
  {
    breaks: 'an upload lost at its end gets a new key',
    file: 'src/put/confirm.ts',
    find: "if (code === 'upload-lost') throw new StartOver('The upload is gone and there is no object of ours', error);",
    replace: '',
    test: STORIES,
    only: 'conflict',
  },
  {
    breaks: 'the ledger has the header before the upload is created',
    file: 'src/put/attempt.ts',
    find: 'const row = ledger.startAttempt(',
    replace: `await place.store.createUpload(place.key, intended.headers);
  const row = ledger.startAttempt(`,
    test: STORIES,
    only: 'CreateMultipartUpload was not acknowledged',
  },
  {
    breaks: 'the header is sent again byte for byte, never rebuilt',
    file: 'src/put/resume.ts',
    find: '  refuseStaleLedger(run, stored, receipts);\n',
    replace: `  const { encodeHeader, headerBytes } = await import('../formats/esdk/header.ts');
  const encryptionContext = { ...run.request.context, 'sealift-name': '2' };
  const { decodeHeader } = await import('../formats/esdk/header.ts');
  const { keys } = unlocked.message as unknown as { keys: never };
  row.header = headerBytes(encodeHeader({ ...decodeHeader(row.header)!, encryptionContext, keys }));
  refuseStaleLedger(run, stored, receipts);
`,
    test: STORIES,
    only: 'header and all',
  },
  {
    breaks: 'the layout comes from the ledger',
    file: 'src/put/resume.ts',
    find: '  const unlocked = await unlock(run, row);\n',
    replace: `  const unlocked = await unlock(run, row);
  const { plainSize, headerSize, frameSize } = row.layout as Extract<typeof row.layout, { frameSize: number }>;
  const { planLayout } = await import('../formats/esdk/plan.ts');
  const layout = planLayout({ plainSize, headerSize, frameSize, partSize: 5.5 * 2 ** 20 });
  Object.assign(unlocked.message, { layout });
`,
    test: STORIES,
    only: 'header and all',
  },
  {
    breaks: 'flags that differ are refused',
    file: 'src/put/fixed-options.ts',
    find: '  refuseOtherOptions(asked, begun);\n',
    replace: '',
    test: STORIES,
    only: 'other options',
  },
  {
    breaks: 'an intent is on disk before a byte of its part leaves (seen by strace)',
    file: 'src/parts/seal-part.ts',
    find: 'const promised = await link.announce(task.show ? { ...bare, sealed } : bare);',
    replace: `const promised = bare.intent;
    setTimeout(() => void link.announce(bare).catch(() => {}), 50);`,
    test: 'test/long/durability.test.ts',
    only: 'first socket write',
  },
  {
    breaks: 'nothing is sent that the ledger refuses',
    file: 'src/parts/seal-part.ts',
    find: 'await link.announce(task.show ? { ...bare, sealed } : bare);',
    replace: 'await link.announce(task.show ? { ...bare, sealed } : bare).catch(() => bare.intent);',
    test: STORIES,
    only: 'promised part has changed',
  },
  {
    breaks: 'commits are synced (synchronous = FULL)',
    file: 'src/ledger/database.ts',
    find: 'PRAGMA synchronous = FULL;',
    replace: 'PRAGMA synchronous = OFF;',
    test: 'test/ledger/durability.test.ts',
    only: 'strace',
  },
  {
    breaks: 'commits are synced before parts leave (seen by strace)',
    file: 'src/ledger/database.ts',
    find: 'PRAGMA synchronous = FULL;',
    replace: 'PRAGMA synchronous = OFF;',
    test: 'test/long/durability.test.ts',
    only: 'first socket write',
  },
  {
    breaks: 'a resume after power loss finds every intent',
    file: 'src/ledger/database.ts',
    find: 'PRAGMA synchronous = FULL;',
    replace: 'PRAGMA synchronous = OFF;',
    test: 'test/long/durability.test.ts',
    only: 'power loss',
  },
  {
    breaks: 'go is given after the commit, not before',
    file: 'src/ledger/group-commit.ts',
    find: '      this.#waiting.push({ apply, settle: (refusal) => (refusal ? reject(refusal) : resolve()) });',
    replace:
      '      this.#waiting.push({ apply, settle: (refusal) => (refusal ? reject(refusal) : resolve()) });\n      resolve();',
    test: 'test/ledger/durability.test.ts',
    only: 'nothing is settled',
  },
  ...(
    [
      ['format', "fields.write(format, 0, 'ascii');"],
      ['part number', 'fields.writeUInt32BE(part.number, 4);'],
      ['plain offset', 'fields.writeBigUInt64BE(BigInt(part.plainOffset), 8);'],
      ['sealed size', 'fields.writeBigUInt64BE(BigInt(part.sealedSize), 16);'],
      ["header's tag", 'if (headerTag) fields.set(headerTag, 24);'],
    ] as const
  ).map(([what, find]) => ({
    breaks: `a fingerprint covers the ${what}`,
    file: FINGERPRINT,
    find,
    replace: '',
    test: what === 'format' ? STORIES : FORMATS,
    only: 'fingerprint',
  })),
  {
    breaks: 'a fingerprint covers the tags',
    file: FINGERPRINT,
    find: '.update(fields).update(tags).digest()',
    replace: '.update(fields).digest()',
    test: FORMATS,
    only: 'fingerprint',
  },
  {
    breaks: 'a frame in two parts has one tag',
    file: 'src/ledger/part-rows.ts',
    find: '      this.#checkSharedTags(intent);\n',
    replace: '',
    test: 'test/put/equal-parts.test.ts',
    only: 'nothing of the second leaves',
  },
  {
    breaks: 'the tag of a frame in two parts goes with the intent of either',
    file: 'src/formats/message.ts',
    find: '    sharedTags: sharedTagsOf(part, tags),\n',
    replace: '    sharedTags: {},\n',
    test: 'test/put/equal-parts.test.ts',
    only: 'nothing of the second leaves',
  },
  {
    breaks: 'a CRC is never a fingerprint',
    file: 'src/parts/seal-once.ts',
    find: '  const { sealed, hash, crc32: known, ...promised } = sealer.finish();\n',
    replace: `  const { sealed, hash, crc32: known, ...promised } = sealer.finish();
  promised.fingerprint = Buffer.alloc(32, String(crc32(sealed)));
`,
    test: STORIES,
    only: 'fingerprint',
  },
  {
    breaks: 'the ledger key has a label of its own',
    file: 'src/formats/esdk/keys.ts',
    find: 'derive(LEDGER_KEY_LABEL)',
    replace: 'derive(COMMITMENT_LABEL)',
    test: FORMATS,
    only: 'three different things',
  },
  {
    breaks: 'the recorder sees two plaintexts',
    file: 'test/support/records.ts',
    find: 'else if (before.plain !== note.plain) violations.push(',
    replace: 'else if (!before) violations.push(',
    test: 'test/support/recorder.test.ts',
  },
  {
    breaks: 'the recorder sees two contexts',
    file: 'test/support/records.ts',
    find: 'else if (before.additional !== note.additional)',
    replace: 'else if (before.additional === undefined)',
    test: 'test/support/recorder.test.ts',
  },
];

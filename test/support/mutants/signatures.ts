/** Signed messages: what was promised is what was signed, nobody waits for ever, and the key stays a secret. */
import type { Mutant } from '../mutation.ts';

const SIGN = 'test/put/sign.test.ts';
const SIGNING = 'test/parts/signing.test.ts';
const SIGNING_KEY = 'test/put/signing-key.test.ts';

export const signatures: Mutant[] = [
  {
    breaks: 'kept parts are hashed again',
    file: 'src/put/parts.ts',
    find: 'if (!kept.has(number) || doubtful || signingKey) yield part;',
    replace: 'if (!kept.has(number) || doubtful) yield part;',
    test: SIGN,
    only: 'hashes the kept part again',
  },
  {
    breaks: 'a part is taken only once its intent is on disk',
    file: 'src/put/announce.ts',
    find: '    await ledger.recordIntent(intent);\n    await ending?.take(number, { sealed, hash });\n',
    replace: '    await ending?.take(number, { sealed, hash });\n    await ledger.recordIntent(intent);\n',
    test: 'test/put/announce.test.ts',
    only: 'once its intent is on disk',
  },
  {
    breaks: 'the intent of the last part holds the signature: it is never signed twice',
    file: 'src/parts/seal-once.ts',
    find: ', crc32: checksum, footer }',
    replace: ', crc32: checksum }',
    test: SIGN,
    only: 'that was promised',
  },
  {
    breaks: 'the tag of an intent covers its footer',
    file: 'src/ledger/part-rows.ts',
    find: 'shared_tags, footer, sealed_hash] as const',
    replace: 'shared_tags, null, sealed_hash] as const',
    test: 'test/ledger/altered.test.ts',
    only: 'whichever value',
  },
  {
    breaks: 'parts are hashed in order',
    file: 'src/parts/signing.ts',
    find: '    await this.#hashing.take(number);\n',
    replace: '',
    test: SIGNING,
    only: 'over the parts in order',
  },
  {
    breaks: 'tasks of signed parts start in order',
    file: 'src/parts/signing.ts',
    find: '    await this.#entrance.take(number);\n',
    replace: '',
    test: SIGNING,
    only: 'tasks start in order',
  },
  {
    breaks: 'who waits for a part to be hashed hears that it failed',
    file: 'src/put/parts.ts',
    find: '          ending?.stop(error);\n',
    replace: '',
    test: SIGN,
    only: 'where a kept part has changed',
  },
  {
    breaks: 'signed parts are held, or refused',
    file: 'src/put/parts.ts',
    find: 'const streamedSize = sign ? undefined : streamedSizeOf(cut);',
    replace: 'const streamedSize = streamedSizeOf(cut);',
    test: SIGN,
    only: 'too large to be held',
  },
  {
    breaks: 'the hashing thread takes its share of the memory',
    file: 'src/parts/memory.ts',
    find: '    this.#shrink(HASH_THREAD_SIZE);\n',
    replace: '',
    test: 'test/parts/budget.test.ts',
    only: 'threads leave less',
  },
  {
    breaks: 'the signing key is in the ledger only sealed',
    file: 'src/put/vault.ts',
    find: 'cipher.update(plain)',
    replace: 'plain',
    test: SIGN,
    only: 'but sealed',
  },
  {
    breaks: 'the vault key is of one message',
    file: 'src/formats/esdk/keys.ts',
    find: "hkdfSync('sha512', dataKey, messageId, VAULT_KEY_LABEL",
    replace: "hkdfSync('sha512', dataKey, Buffer.alloc(32), VAULT_KEY_LABEL",
    test: SIGNING_KEY,
    only: 'message id',
  },
  {
    breaks: 'the vault key is none of the format',
    file: 'src/formats/esdk/keys.ts',
    find: "const VAULT_KEY_LABEL = Buffer.from('sealift vault v1');",
    replace: 'const VAULT_KEY_LABEL = LEDGER_KEY_LABEL;',
    test: SIGNING_KEY,
    only: 'key of its own',
  },
];

/**
 * Messages of every suite, out of a file and out of a pipe, into a file and into a sink; and what must be true of a
 * message before a key is asked for it, and before its last frame is released.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine, type Engine, type GetRequest, type Keyring, SealiftError } from '../../src/index.ts';
import { somePlain } from '../formats/message.ts';
import { ALL_SUITES, type MessageFields, u16 } from '../formats/writer.ts';
import { foreignMessage, keyring, pipeOf, suiteNamed } from './foreign-message.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const spy: Keyring = {
  ...keyring,
  id: keyring.id,
  makeDataKey: vi.fn(),
  openDataKey: vi.fn((r) => keyring.openDataKey(r)),
};
const engine: Engine = createEngine({ keyring: spy, stateDir: join(folder, 'state'), maxMemory: 256 * 1024 ** 2 });
const allow = { commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
const [signed, oldSigned, committing, old] = ['0578', '0378', '0478', '0178'].map(suiteNamed);

afterEach(() => vi.clearAllMocks());
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

let count = 0;
/** A folder of its own, so that what is left in it can be counted. */
function newFolder(): string {
  return mkdtempSync(join(folder, `${count++}-`));
}

function fileOf(message: Buffer): string {
  const path = join(newFolder(), 'message');
  writeFileSync(path, message);
  return pathToFileURL(path).href;
}

/** What a sink was given, and how it ended. */
async function released(request: Omit<GetRequest, 'target'>): Promise<{ plain: Buffer; error?: SealiftError }> {
  const pieces: Buffer[] = [];
  const target = async (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes));
  try {
    await engine.get({ ...request, target });
    return { plain: Buffer.concat(pieces) };
  } catch (error) {
    expect(error).toBeInstanceOf(SealiftError);
    return { plain: Buffer.concat(pieces), error: error as SealiftError };
  }
}

async function refusal(request: Omit<GetRequest, 'target'>): Promise<SealiftError | undefined> {
  const { plain, error } = await released(request);
  expect(plain).toHaveLength(0);
  return error;
}

describe.each(ALL_SUITES)('$name', (suite) => {
  test.each([0, 1000])(
    'frames of %i bytes come out of a file and a pipe, into a file and a sink',
    async (frameSize) => {
      const plain = somePlain(2500);
      const message = foreignMessage({ suite, plain, frameSize, context: { a: 'b' } });
      for (const source of [() => fileOf(message), () => pipeOf(message)]) {
        expect((await released({ source: source(), ...allow })).plain).toEqual(plain);
        const target = join(newFolder(), 'plain');
        const result = await engine.get({ source: source(), target, ...allow });
        expect(result).toMatchObject({ plainBytes: plain.length, sealedBytes: message.length });
        expect(readFileSync(target)).toEqual(plain);
        expect(readdirSync(join(target, '..'))).toEqual(['plain']);
      }
    },
  );
});

describe('before a key is asked for', () => {
  const plain = somePlain(100);
  const refused = async (request: Omit<GetRequest, 'target'>) => {
    const error = await refusal(request);
    expect(spy.openDataKey).not.toHaveBeenCalled();
    return error;
  };

  test.each(ALL_SUITES.filter((suite) => suite.messageVersion === 1))(
    'the default policy refuses $name',
    async (suite) => {
      const source = fileOf(foreignMessage({ suite, plain, frameSize: 50 }));
      expect(await refused({ source })).toMatchObject({
        code: 'commitment-policy',
        exit: 6,
        message: expect.stringContaining(suite.name),
        hint: expect.stringContaining('--commitment-policy require-encrypt-allow-decrypt'),
      });
    },
  );

  test('expected pairs must be there and equal', async () => {
    const source = fileOf(foreignMessage({ suite: committing!, plain, frameSize: 50, context: { a: 'b', c: '' } }));
    for (const expectContext of [{ a: 'c' }, { d: 'e' }, { toString: '' }, { a: 'b', c: 'x' }] as Record<
      string,
      string
    >[]) {
      expect(await refused({ source, expectContext })).toMatchObject({ code: 'context-mismatch', exit: 6 });
    }
    expect((await released({ source, expectContext: { a: 'b', c: '' } })).plain).toEqual(plain);
  });

  test('too many wrapped keys are too many', async () => {
    const message = foreignMessage({ suite: committing!, plain, frameSize: 50, keyCount: 3 });
    for (const source of [fileOf(message), pipeOf(message)]) {
      const error = await refused({ source, maxEncryptedDataKeys: 2 });
      expect(error).toMatchObject({ code: 'bad-header', hint: expect.stringContaining('--max-encrypted-data-keys') });
    }
    expect((await released({ source: fileOf(message), maxEncryptedDataKeys: 3 })).plain).toEqual(plain);
    const many = foreignMessage({ suite: committing!, plain, frameSize: 50, keyCount: 101 });
    expect(await refusal({ source: fileOf(many) })).toMatchObject({ code: 'bad-header' });
    expect((await released({ source: fileOf(many), maxEncryptedDataKeys: 101 })).plain).toEqual(plain);
  });

  test('a suite and a key to verify signatures go together', async () => {
    const point = { 'aws-crypto-public-key': 'AsLzq8sYGVuTJNkqsSVo1TD4TfMbdYGVMAEUY9EhVTy9' };
    for (const suite of [committing!, old!]) {
      const source = fileOf(foreignMessage({ suite, plain, frameSize: 50, context: point }));
      expect(await refused({ source, ...allow })).toMatchObject({ code: 'bad-header' });
    }
    const without = foreignMessage({
      suite: signed!,
      plain,
      frameSize: 50,
      change: ({ header }) => Object.assign(header, { context: Buffer.alloc(0), contextSize: 0 }),
    });
    expect(await refused({ source: pipeOf(without) })).toMatchObject({ code: 'bad-header' });
  });

  test('a range of a signed message is refused', async () => {
    const source = fileOf(foreignMessage({ suite: signed!, plain, frameSize: 50 }));
    expect(await refused({ source, range: { first: 0, last: 9 } })).toMatchObject({ code: 'bad-range', exit: 2 });
  });

  test('what comes through a pipe is told from a message', async () => {
    const message = foreignMessage({ suite: committing!, plain, frameSize: 50 });
    expect(await refused({ source: pipeOf(Buffer.alloc(0)) })).toMatchObject({ code: 'not-sealed' });
    expect(await refused({ source: pipeOf(Buffer.from('plain text')) })).toMatchObject({ code: 'not-sealed' });
    expect(await refused({ source: pipeOf(Buffer.from(message.toString('base64'))) })).toMatchObject({
      code: 'not-sealed',
      hint: expect.stringContaining('base64 --decode'),
    });
    expect(await refused({ source: pipeOf(message.subarray(0, 50)) })).toMatchObject({ code: 'truncated' });
  });
});

describe('required pairs', () => {
  const plain = somePlain(100);
  const message = (suite = committing!) =>
    foreignMessage({ suite, plain, frameSize: 50, context: { a: 'b' }, unstored: { secret: 'name', é: '' } });

  test.each([committing!, signed!, oldSigned!, old!])(
    'open a message that does not hold them: $name',
    async (suite) => {
      const requiredContext = { é: '', secret: 'name' };
      expect((await released({ source: fileOf(message(suite)), requiredContext, ...allow })).plain).toEqual(plain);
      const whole = { ...requiredContext, a: 'b' };
      expect(
        (
          await released({
            source: pipeOf(message(suite)),
            requiredContext: whole,
            expectContext: { secret: 'name' },
            ...allow,
          })
        ).plain,
      ).toEqual(plain);
    },
  );

  test.each([
    ['none of them', {}],
    ['one of them', { é: '' }],
    ['another value', { é: '', secret: 'other' }],
    ['one too many', { é: '', secret: 'name', more: 'x' }],
  ])('%s: the message does not open', async (_, requiredContext) => {
    expect(await refusal({ source: fileOf(message()), requiredContext })).toMatchObject({ code: 'wrong-key' });
  });

  test('may have any names', async () => {
    const unstored = Object.fromEntries(['__proto__', 'constructor', '1'].map((name) => [name, 'x']));
    const odd = foreignMessage({ suite: committing!, plain, frameSize: 50, unstored });
    const rules = { requiredContext: unstored, expectContext: unstored };
    expect((await released({ source: fileOf(odd), ...rules })).plain).toEqual(plain);
  });

  test('another value than the header holds is told', async () => {
    const error = await refusal({ source: fileOf(message()), requiredContext: { a: 'c' } });
    expect(error).toMatchObject({ code: 'context-mismatch', message: expect.stringContaining('"b"') });
  });
});

describe('the last frame', () => {
  const plain = somePlain(250);
  const message = foreignMessage({ suite: signed!, plain, frameSize: 100 });

  test('of a signed message is released after the signature is verified, the others before', async () => {
    const pieces: number[] = [];
    const gate = Promise.withResolvers<void>();
    async function* source(): AsyncGenerator<Uint8Array> {
      yield message.subarray(0, -2);
      await gate.promise;
      yield message.subarray(-2);
    }
    const getting = engine.get({
      source: source(),
      target: async (bytes) => {
        pieces.push(bytes.length);
        if (pieces.length === 1) gate.resolve();
      },
    });
    await gate.promise;
    expect(pieces).toEqual([200]);
    await getting;
    expect(pieces).toEqual([200, 50]);
  });

  test('is never released where the signature is another, and no file appears', async () => {
    for (const change of [
      (footer: Buffer) => footer.fill(1, footer.length - 1),
      (footer: Buffer) => footer.subarray(0, -1),
      () => Buffer.alloc(0),
      (footer: Buffer) => Buffer.concat([footer, Buffer.alloc(1)]),
    ]) {
      const spoilt = foreignMessage({
        suite: oldSigned!,
        plain,
        frameSize: 100,
        change: (fields) => {
          const { footer } = fields;
          fields.footer = (signature) => change(footer(signature));
        },
      });
      for (const source of [() => fileOf(spoilt), () => pipeOf(spoilt, 7)]) {
        const { plain: some, error } = await released({ source: source(), ...allow });
        expect(['bad-signature', 'truncated', 'trailing-bytes']).toContain(error?.code);
        expect([0, 100, 200]).toContain(some.length);
        expect(some).toEqual(plain.subarray(0, some.length));
        const target = join(newFolder(), 'plain');
        await expect(engine.get({ source: source(), target, ...allow })).rejects.toMatchObject({ exit: 6 });
        expect(readdirSync(join(target, '..'))).toEqual([]);
      }
    }
  });

  test.each([1, 7, 101, 1 << 20])(
    'of a signed message is one with bytes in it, where an empty frame ends the message: chunks of %i',
    async (chunkSize) => {
      for (const [size, frameSize] of [
        [200, 100],
        [100, 100],
        [3 * 2 ** 20, 2 ** 19],
      ] as const) {
        if (size > 1000 * chunkSize) continue;
        const full = somePlain(size);
        const recipe = { suite: signed!, plain: full, frameSize, emptyFinalFrame: true };
        const good = await released({ source: pipeOf(foreignMessage(recipe), chunkSize) });
        expect(good).toEqual({ plain: full });
        const change = (fields: MessageFields) => {
          fields.footer = (signature) => Buffer.concat([u16(signature.length), signature.fill(1, 20)]);
        };
        const spoilt = foreignMessage({ ...recipe, change });
        const { plain: some, error } = await released({ source: pipeOf(spoilt, chunkSize) });
        expect(error).toMatchObject({ code: 'bad-signature' });
        expect(some).toEqual(full.subarray(0, -frameSize));
      }
    },
  );

  test('and all before it are held to what was signed: any flipped byte is noticed', async () => {
    const short = foreignMessage({ suite: signed!, plain: somePlain(30), frameSize: 20 });
    for (let index = 0; index < short.length; index++) {
      const flipped = Buffer.from(short);
      flipped[index]! ^= 1 + (index % 255);
      const { plain: some, error } = await released({ source: pipeOf(flipped), ...allow });
      expect(error?.code, `byte ${index}`).toMatch(/^(bad-|truncated|trailing-bytes|wrong-key|not-sealed)/);
      expect(some.length, `byte ${index}`).toBeLessThanOrEqual(20);
    }
  });

  test('of an unsigned message from a pipe is held until the pipe has ended', async () => {
    const unsigned = foreignMessage({ suite: committing!, plain, frameSize: 100 });
    const { plain: some, error } = await released({ source: pipeOf(Buffer.concat([unsigned, Buffer.alloc(1)])) });
    expect(error).toMatchObject({ code: 'trailing-bytes' });
    expect(some.length).toBeLessThanOrEqual(200);
    for (let size = unsigned.length - 1; size > unsigned.length - 200; size -= 7) {
      const cut = await released({ source: pipeOf(unsigned.subarray(0, size)) });
      expect(cut.error).toMatchObject({ code: 'truncated', exit: 6 });
      expect(cut.plain).toEqual(plain.subarray(0, cut.plain.length));
      expect(cut.plain.length).toBeLessThanOrEqual(200);
    }
  });
});

describe('a pipe', () => {
  const plain = somePlain(1050);
  const message = foreignMessage({ suite: committing!, plain, frameSize: 100 });

  test.each([
    [0, 0],
    [99, 100],
    [250, 251],
    [1000, 1049],
    [1040, 5000],
    [0, Number.MAX_SAFE_INTEGER],
  ])('gives bytes %i to %i', async (first, last) => {
    const { plain: some } = await released({ source: pipeOf(message, 64), range: { first, last } });
    expect(some).toEqual(plain.subarray(first, last + 1));
  });

  test('has no bytes behind its end', async () => {
    const error = await refusal({ source: pipeOf(message), range: { first: 1050, last: 2000 } });
    expect(error).toMatchObject({ code: 'bad-range' });
  });

  test('does not say which object it is: a message bound to one is refused unless that is allowed', async () => {
    const bound = foreignMessage({ suite: committing!, plain, frameSize: 100, context: { 'sealift-name': '1' } });
    expect(await refusal({ source: pipeOf(bound) })).toMatchObject({ code: 'object-relocated' });
    expect((await released({ source: pipeOf(bound), allowRelocated: true })).plain).toEqual(plain);
  });

  test('that claims more than memory holds is refused before it is believed', async () => {
    const huge = foreignMessage({
      suite: old!,
      plain,
      frameSize: 0,
      change: ({ frames }) => Object.assign(frames[0]!, { size: 2 ** 35 }),
    });
    expect(await refusal({ source: pipeOf(huge), ...allow })).toMatchObject({ code: 'memory-too-small' });
    expect(await refusal({ source: fileOf(huge), ...allow })).toMatchObject({ exit: 6 });
    const signedHuge = foreignMessage({
      suite: signed!,
      plain,
      frameSize: 2 ** 32 - 1,
      change: ({ frames }) => Object.assign(frames[0]!, { size: 2 ** 31 }),
    });
    expect(await refusal({ source: pipeOf(signedHuge) })).toMatchObject({ code: 'memory-too-small' });
    expect(await refusal({ source: fileOf(signedHuge) })).toMatchObject({ code: 'truncated' });
  });

  test('that breaks, or is given up, leaves nothing behind', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield message.subarray(0, 600);
      throw new Error('it broke');
    }
    const target = join(newFolder(), 'plain');
    await expect(engine.get({ source: broken(), target })).rejects.toMatchObject({ code: 'source-failed' });
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield message.subarray(0, 600);
      stop.abort();
      yield message.subarray(600);
    }
    const getting = engine.get({ source: endless(), target, signal: stop.signal });
    await expect(getting).rejects.toMatchObject({ code: 'interrupted', exit: 4 });
    expect(readdirSync(join(target, '..'))).toEqual([]);
  });

  /** Gives the bytes and is silent from then on, also when it is told that nobody reads it any more. */
  class Silent implements AsyncIterableIterator<Uint8Array> {
    readonly isSilent = Promise.withResolvers<void>();
    returnCount = 0;
    #bytes: Buffer | undefined;

    constructor(bytes: Buffer) {
      this.#bytes = bytes;
    }

    [Symbol.asyncIterator](): this {
      return this;
    }

    async next(): Promise<IteratorResult<Uint8Array>> {
      const value = this.#bytes;
      this.#bytes = undefined;
      if (value) return { done: false, value };
      this.isSilent.resolve();
      return new Promise(() => {});
    }

    return(): Promise<IteratorResult<Uint8Array>> {
      this.returnCount++;
      return new Promise(() => {});
    }
  }

  test.each([0, 20, 600])('that is silent after %i bytes can be stopped, and is let go', async (size) => {
    const written: Uint8Array[] = [];
    const file = join(newFolder(), 'plain');
    for (const target of [file, async (bytes: Uint8Array) => void written.push(bytes)]) {
      const source = new Silent(message.subarray(0, size));
      const stop = new AbortController();
      const getting = engine.get({ source, target, signal: stop.signal });
      source.isSilent.promise.then(() => stop.abort());
      await expect(getting).rejects.toMatchObject({
        code: 'interrupted',
        message: expect.stringMatching(target === file ? /nothing is kept/ : /bytes were written out/),
        hint: expect.stringContaining('cannot be resumed'),
      });
      expect(source.returnCount).toBe(1);
    }
    expect(readdirSync(join(file, '..'))).toEqual([]);
    expect(written.length > 0).toBe(size === 600);
  });

  test('that is silent is let go by whatever else ends the get', async () => {
    const target = async () => {};
    const otherKey = { source: new Silent(message), target, requiredContext: { a: 'b' } };
    await expect(engine.get(otherKey)).rejects.toMatchObject({ code: 'wrong-key' });
    const noMessage = { source: new Silent(Buffer.from('plain text')), target };
    await expect(engine.get(noMessage)).rejects.toMatchObject({ code: 'not-sealed' });
    const enough = { source: new Silent(message), target, range: { first: 0, last: 9 } };
    await engine.get(enough);
    for (const { source } of [otherKey, noMessage, enough]) expect(source.returnCount).toBe(1);
  });
});

test.each<[what: string, source: () => GetRequest['source']]>([
  ['a signed object', () => fileOf(foreignMessage({ suite: signed!, plain: somePlain(9), frameSize: 5 }))],
  ['a pipe', () => pipeOf(foreignMessage({ suite: committing!, plain: somePlain(9), frameSize: 5 }))],
])('an error that may pass does not promise a file that %s goes on', async (_what, source) => {
  const hint = 'Run the same command again later; it goes on where it stopped.';
  vi.mocked(spy.openDataKey).mockRejectedValueOnce(new SealiftError('kms-unavailable', 'Nobody answers', { hint }));
  const target = join(newFolder(), 'plain');
  await expect(engine.get({ source: source(), target })).rejects.toMatchObject({
    code: 'kms-unavailable',
    message: 'Nobody answers',
    hint: expect.stringMatching(/begins anew\.$/),
  });
});

test('the data key of a suite without derivation is never kept', async () => {
  const source = fileOf(foreignMessage({ suite: suiteNamed('0078'), plain: somePlain(9), frameSize: 5 }));
  for (let time = 1; time <= 2; time++) {
    await released({ source, ...allow });
    expect(spy.openDataKey).toHaveBeenCalledTimes(time);
  }
});

test.each([signed!, old!])('inspect shows a message in a file and in a pipe: $name', async (suite) => {
  for (const frameSize of [0, 100]) {
    const message = foreignMessage({ suite, plain: somePlain(250), frameSize });
    const shown = {
      messageVersion: suite.messageVersion,
      suite: suite.name,
      commits: suite.messageVersion === 2,
      signed: suite.signature !== undefined,
      frameSize,
      frames: frameSize === 0 ? 1 : 3,
      plainBytes: 250,
      sealedBytes: message.length,
    };
    expect(await engine.inspect(fileOf(message))).toMatchObject({ ...shown, etag: expect.any(String) });
    expect(await engine.inspect(pipeOf(message, 10))).toMatchObject({ ...shown, object: '-', etag: null });
  }
  expect(spy.openDataKey).not.toHaveBeenCalled();
});

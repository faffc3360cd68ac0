/** The order of promises and of what is made from them, on which a resume relies. */
import { expect, test } from 'vitest';
import type { Intent } from '../../src/ledger/types.ts';
import { announcePart } from '../../src/put/announce.ts';

const intent: Intent = { number: 1, fingerprint: Buffer.alloc(32), sealedSize: 3, crc32: 0, sharedTags: {} };

/** What happens, in order, when part `number` of two is announced and everybody takes his time. */
async function story(number: number): Promise<string[]> {
  const steps: string[] = [];
  const step = async (name: string) => {
    await new Promise(setImmediate);
    steps.push(name);
  };
  const ledger = {
    job: { id: 'job' },
    recordIntent: ({ footer }: Intent) => step(footer ? 'intent with footer' : 'intent'),
  };
  const signing = {
    take: () => step('taken'),
    footer: () => step('footer').then(() => Buffer.from('footer')),
  };
  const attempt = { message: { layout: { partCount: 2 } } };
  const sealed = new Uint8Array(200).subarray(0, 3);
  await announcePart({ ledger } as never, attempt as never, { intent: { ...intent, number }, sealed }, signing);
  return steps;
}

test('a part is taken only once its intent is on disk', async () => {
  expect(await story(1)).toEqual(['intent', 'taken']);
});

test('the last part is promised with its signature', async () => {
  expect(await story(2)).toEqual(['taken', 'footer', 'intent with footer']);
});

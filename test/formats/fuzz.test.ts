/** A short run of the fuzzer, always the same; test/long/fuzz.test.ts has the long one. */
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';
import { openInOrder, openMessage, somePlain } from './message.ts';
import { ALL_SUITES, fieldsOf, writeMessage } from './writer.ts';

test.each(ALL_SUITES)('the writer is honest when asked to be: $name', (suite) => {
  const dataKey = Buffer.alloc(suite.keySize, 1);
  for (const frameSize of [0, 1, 10]) {
    for (const size of [0, 1, 9, 10, 11, 30]) {
      for (const emptyFinalFrame of [false, true]) {
        const plain = somePlain(size);
        const sealed = writeMessage(
          fieldsOf({ suite, plain, frameSize, emptyFinalFrame, context: { a: 'b' } }),
          dataKey,
        );
        expect(openMessage(sealed, { dataKey })).toEqual(plain);
        expect(openInOrder(sealed, { dataKey, chunkSize: 5 })).toEqual(plain);
      }
    }
  }
});

test.each(ALL_SUITES)('any nonces are read from where they stand, and any order of pairs: $name', (suite) => {
  const dataKey = Buffer.alloc(suite.keySize, 1);
  const plain = somePlain(25);
  for (const frameSize of [0, 10]) {
    const fields = fieldsOf({ suite, plain, frameSize });
    if (suite.messageVersion === 1) fields.header.nonce = Buffer.alloc(12, 'header');
    for (const [index, frame] of fields.frames.entries()) frame.nonce = Buffer.alloc(12, `frame ${index}`);
    const sealed = writeMessage(fields, dataKey);
    expect(openMessage(sealed, { dataKey })).toEqual(plain);
    expect(openInOrder(sealed, { dataKey })).toEqual(plain);
  }
});

test('1,500 changed messages are refused with a code, or open to what was sealed', () => {
  const report = fuzz({ seed: 1, count: 1500 });
  expect(report.opened).toBeGreaterThan(100);
  expect(report.refused).toBeGreaterThan(700);
  expect(Object.keys(report.codes).sort()).toEqual([
    'bad-frame',
    'bad-header',
    'bad-signature',
    'not-sealed',
    'trailing-bytes',
    'truncated',
    'wrong-key',
  ]);
});

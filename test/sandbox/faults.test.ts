import { describe, expect, it } from 'vitest';
import type { SealiftError } from '../../src/errors.ts';
import { type Fault, type FaultCall, Faults } from '../../src/sandbox/faults.ts';

const s3 = (operation: string, more: Partial<FaultCall> = {}): FaultCall => ({ service: 's3', operation, ...more });
const kms = (operation: string): FaultCall => ({ service: 'kms', operation });

/** What happens to the first `count` calls, by the fault's kind. */
function kinds(faults: Faults, call: FaultCall, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => faults.match(call)?.kind);
}

describe('which time', () => {
  it.each([
    ['2', [undefined, 'stall', undefined, undefined]],
    ['2-3', [undefined, 'stall', 'stall', undefined]],
    ['3-', [undefined, undefined, 'stall', 'stall']],
    ['*', ['stall', 'stall', 'stall', 'stall']],
  ])('UploadPart:%s', (times, expected) => {
    expect(kinds(Faults.parse(`UploadPart:${times}=stall`), s3('UploadPart'), 4)).toEqual(expected);
  });

  it('counts the calls a rule fits, and no others', () => {
    const faults = Faults.parse('UploadPart(part=3):2=503');
    for (const partNumber of [1, 2, 3, 4]) expect(faults.match(s3('UploadPart', { partNumber }))).toBeUndefined();
    expect(faults.match(s3('UploadPart', { partNumber: 3 }))?.kind).toBe('status');
  });

  it('counts every operation by itself in a rule for *', () => {
    const faults = Faults.parse('*:1=lose-answer');
    for (const call of [s3('PutObject'), s3('HeadObject'), kms('Decrypt')]) {
      expect(kinds(faults, call, 2)).toEqual(['lose-answer', undefined]);
    }
  });

  it('counts in each rule, and lets the first rule that strikes win', () => {
    const faults = Faults.parse('GetObject:2=stall; GetObject:1-3=corrupt');
    expect(kinds(faults, s3('GetObject'), 4)).toEqual(['corrupt', 'stall', 'corrupt', undefined]);
  });
});

describe('which call', () => {
  it('fits bucket and key as well as the part', () => {
    const faults = Faults.parse('PutObject(bucket=b,key=a/k):*=500');
    expect(faults.match(s3('PutObject', { bucket: 'b', key: 'other' }))).toBeUndefined();
    expect(faults.match(s3('PutObject', { bucket: 'other', key: 'a/k' }))).toBeUndefined();
    expect(faults.match(s3('GetObject', { bucket: 'b', key: 'a/k' }))).toBeUndefined();
    expect(faults.match(s3('PutObject', { bucket: 'b', key: 'a/k' }))).toBeDefined();
  });

  it('has nothing to say for an empty spec', () => {
    expect(Faults.parse(' ; ').match(s3('PutObject'))).toBeUndefined();
  });
});

describe('what happens', () => {
  const table: [string, Fault][] = [
    ['503', { kind: 'status', status: 503, code: 'SlowDown' }],
    ['500', { kind: 'status', status: 500, code: 'InternalError' }],
    ['AccessDenied', { kind: 'status', status: 403, code: 'AccessDenied' }],
    ['ThrottlingException', { kind: 'status', status: 400, code: 'ThrottlingException' }],
    ['418/Teapot', { kind: 'status', status: 418, code: 'Teapot' }],
    ['reset', { kind: 'reset', afterBytes: 0 }],
    ['reset@1MiB', { kind: 'reset', afterBytes: 1_048_576 }],
    ['slow@64KiB/s', { kind: 'slow', bytesPerSecond: 65_536 }],
    ['stall', { kind: 'stall' }],
    ['stall@2s', { kind: 'stall', ms: 2000 }],
    ['lose-answer', { kind: 'lose-answer' }],
    ['error-in-200', { kind: 'error-in-200' }],
    ['corrupt', { kind: 'corrupt' }],
    ['corrupt@12345', { kind: 'corrupt', offset: 12_345 }],
  ];
  it.each(table)('%s', (effect, expected) => {
    expect(Faults.parse(`Any:1=${effect}`).match(s3('Any'))).toEqual(expected);
  });

  it('names a bare status as the service would', () => {
    const faults = Faults.parse('Decrypt:1=500;Decrypt:2=503');
    expect(faults.match(kms('Decrypt'))).toMatchObject({ status: 500, code: 'KMSInternalException' });
    expect(faults.match(kms('Decrypt'))).toMatchObject({ status: 503, code: 'DependencyTimeoutException' });
  });
});

it.each([
  'UploadPart',
  'UploadPart=503',
  'UploadPart:0=503',
  'UploadPart:3-2=503',
  'UploadPart:x=503',
  'UploadPart:1=',
  'UploadPart:1=404',
  'UploadPart:1=explode',
  'UploadPart:1=constructor',
  'UploadPart:1=reset@much',
  'UploadPart:1=slow',
  'UploadPart:1=slow@1MiB',
  'UploadPart:1=slow@0/s',
  'UploadPart:1=stall@5',
  'UploadPart:1=lose-answer@5',
  'UploadPart(part=0):1=503',
  'UploadPart(part=):1=503',
  'UploadPart(colour=red):1=503',
])('refuses %s and shows an example', (spec) => {
  let thrown: unknown;
  try {
    Faults.parse(`HeadObject:1=500; ${spec}`);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'bad-option', exit: 2 });
  expect((thrown as SealiftError).message).toContain(JSON.stringify(spec));
  expect((thrown as SealiftError).hint).toContain('UploadPart:2=503');
});

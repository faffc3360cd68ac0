/**
 * Faults on demand: which call, which time, what happens. A spec is rules separated by `;`, a rule reads
 *
 *     OPERATION[(part=N,bucket=NAME,key=NAME)]:TIMES=EFFECT
 *
 *     UploadPart:2=503                         the second UploadPart is told to slow down
 *     UploadPart:2-4=reset@1MiB                the second to fourth lose their connection after 1 MiB
 *     UploadPart(part=3):1=500                 the first time part 3 comes, whenever that is
 *     GetObject:*=slow@1MiB/s                  every download crawls
 *     PutObject:1=stall; HeadObject:1-=stall@5s
 *     CompleteMultipartUpload:1=lose-answer    it takes effect and nobody hears of it
 *     GenerateDataKey:1-3=ThrottlingException
 *     *:1=lose-answer                          the first answer of every operation
 *
 * TIMES is `N`, `N-M`, `N-` (from the Nth on) or `*`, counted from 1. Every rule keeps its own count of the calls it
 * fits; a rule for `*` counts each operation by itself. Where several rules strike one call, the first one written
 * wins. EFFECT is one of
 *
 *     500, 503, a known error name, or STATUS/Code     an error answer, and no effect
 *     reset[@SIZE]         the connection is reset after SIZE bytes (default 0) of the request's body, or of the answer's
 *                          body where the request has none
 *     slow@SIZE/s          the body moves at this rate
 *     stall[@DURATION]     silence for so long; without a duration for ever
 *     lose-answer          the call takes effect, its connection closes without an answer
 *     error-in-200         HTTP 200 whose body is an error, as S3 may answer CompleteMultipartUpload
 *     corrupt[@OFFSET]     one byte of the answer's body is flipped
 */
import { SealiftError } from '../errors.ts';
import { parseDuration, parseSize } from '../units.ts';
import type { ServiceName } from './log.ts';

export type Fault =
  | { kind: 'status'; status: number; code: string }
  | { kind: 'reset'; afterBytes: number }
  | { kind: 'slow'; bytesPerSecond: number }
  | { kind: 'stall'; ms?: number }
  | { kind: 'lose-answer' }
  | { kind: 'error-in-200' }
  | { kind: 'corrupt'; offset?: number };

export interface FaultCall {
  service: ServiceName;
  operation: string;
  bucket?: string;
  key?: string;
  partNumber?: number;
}

interface Rule {
  operation: string;
  conditions: Pick<FaultCall, 'bucket' | 'key' | 'partNumber'>;
  first: number;
  last: number;
  effect: (service: FaultCall['service']) => Fault;
  /** Calls that fitted so far, by service and operation. */
  counts: Map<string, number>;
}

/**
 * What a bare status means: S3 API Reference, "Error responses"; KMS API Reference, Decrypt, "Errors"; Service Quotas API
 * Reference, GetServiceQuota, "Errors".
 */
const CODES = {
  s3: { 500: 'InternalError', 503: 'SlowDown' },
  kms: { 500: 'KMSInternalException', 503: 'DependencyTimeoutException' },
  servicequotas: { 500: 'ServiceException', 503: 'ServiceException' },
} as const;

/** The statuses of errors that may be given by name, from the same pages. */
export const STATUSES: Readonly<Record<string, number>> = {
  AccessDenied: 403,
  AccessDeniedException: 400,
  ConditionalRequestConflict: 409,
  DependencyTimeoutException: 503,
  DisabledException: 400,
  ExpiredToken: 400,
  ExpiredTokenException: 400,
  InternalError: 500,
  KeyUnavailableException: 500,
  KMSInternalException: 500,
  KMSInvalidStateException: 400,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotFoundException: 400,
  PreconditionFailed: 412,
  RequestTimeout: 400,
  RequestTimeTooSkewed: 403,
  ServiceUnavailable: 503,
  SlowDown: 503,
  ThrottlingException: 400,
};

export class Faults {
  readonly #rules: readonly Rule[];

  private constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /** Reads a spec; an empty one has no faults. Throws `bad-option`. */
  static parse(spec: string): Faults {
    const texts = spec.split(';').map((text) => text.trim());
    return new Faults(texts.filter((text) => text !== '').map(parseRule));
  }

  /** Counts this call and says what happens to it. Ask once a call. */
  match(call: FaultCall): Fault | undefined {
    const striking = this.#rules.filter((rule) => strikes(rule, call));
    return striking[0]?.effect(call.service);
  }
}

function strikes(rule: Rule, call: FaultCall): boolean {
  const { bucket, key, partNumber } = rule.conditions;
  if (rule.operation !== '*' && rule.operation !== call.operation) return false;
  if (bucket !== undefined && bucket !== call.bucket) return false;
  if (key !== undefined && key !== call.key) return false;
  if (partNumber !== undefined && partNumber !== call.partNumber) return false;
  const counted = `${call.service} ${call.operation}`;
  const count = (rule.counts.get(counted) ?? 0) + 1;
  rule.counts.set(counted, count);
  return count >= rule.first && count <= rule.last;
}

function parseRule(text: string): Rule {
  const match = /^(\*|[A-Z]\w*)(?:\(([^()]*)\))?:(\*|\d+(?:-\d*)?)=(\S+)$/.exec(text);
  if (match === null) throw badRule(text, 'it is not OPERATION:TIMES=EFFECT');
  const [, operation, conditions, times, effect] = match;
  return {
    operation: operation!,
    conditions: parseConditions(text, conditions ?? ''),
    ...parseTimes(text, times!),
    effect: parseEffect(text, effect!),
    counts: new Map(),
  };
}

function parseConditions(rule: string, text: string): Rule['conditions'] {
  const conditions: Rule['conditions'] = {};
  for (const condition of text === '' ? [] : text.split(',')) {
    const [, name, value] = /^\s*(part|bucket|key)=(.+?)\s*$/.exec(condition) ?? [];
    if (value === undefined) throw badRule(rule, `${JSON.stringify(condition)} is not part=N, bucket=NAME or key=NAME`);
    if (name === 'bucket') conditions.bucket = value;
    else if (name === 'key') conditions.key = value;
    else if (/^[1-9]\d*$/.test(value)) conditions.partNumber = Number(value);
    else throw badRule(rule, `${JSON.stringify(value)} is not a part number`);
  }
  return conditions;
}

function parseTimes(rule: string, text: string): { first: number; last: number } {
  if (text === '*') return { first: 1, last: Number.POSITIVE_INFINITY };
  const [first, last] = text.split('-');
  const times = {
    first: Number(first),
    last: last === undefined ? Number(first) : last === '' ? Number.POSITIVE_INFINITY : Number(last),
  };
  if (times.first < 1 || times.last < times.first) throw badRule(rule, `${text} is not a time or a span, from 1`);
  return times;
}

function parseEffect(rule: string, text: string): Rule['effect'] {
  const [name, argument] = text.split('@', 2) as [string, string | undefined];
  const fault = argument === undefined ? plainEffect(name) : effectAt(rule, name, argument);
  if (fault !== undefined) return () => fault;

  const [, status, code] = /^([45]\d\d)(?:\/(\w+))?$/.exec(text) ?? [];
  if (code !== undefined) return () => ({ kind: 'status', status: Number(status), code });
  if (status === '500' || status === '503') {
    return (service) => ({ kind: 'status', status: Number(status), code: CODES[service][status] });
  }
  const known = Object.hasOwn(STATUSES, text) ? STATUSES[text] : undefined;
  if (known !== undefined) return () => ({ kind: 'status', status: known, code: text });
  throw badRule(rule, `${JSON.stringify(text)} is not an effect; an error it does not know is written STATUS/Code`);
}

function plainEffect(name: string): Fault | undefined {
  switch (name) {
    case 'reset':
      return { kind: 'reset', afterBytes: 0 };
    case 'stall':
    case 'lose-answer':
    case 'error-in-200':
    case 'corrupt':
      return { kind: name };
    default:
      return undefined;
  }
}

function effectAt(rule: string, name: string, argument: string): Fault | undefined {
  try {
    if (name === 'reset') return { kind: 'reset', afterBytes: parseSize(argument) };
    if (name === 'corrupt') return { kind: 'corrupt', offset: parseSize(argument) };
    if (name === 'stall') return { kind: 'stall', ms: parseDuration(argument) };
    if (name === 'slow' && argument.endsWith('/s')) {
      const bytesPerSecond = parseSize(argument.slice(0, -2));
      if (bytesPerSecond > 0) return { kind: 'slow', bytesPerSecond };
    }
  } catch (error) {
    throw badRule(rule, (error as Error).message);
  }
  return undefined;
}

function badRule(rule: string, reason: string): SealiftError {
  return new SealiftError('bad-option', `Not a fault: ${JSON.stringify(rule)}: ${reason}`, {
    hint: "Write it like 'UploadPart:2=503' or 'CompleteMultipartUpload:1=lose-answer; GetObject:*=slow@1MiB/s'.",
  });
}

/** One request, its response, and what is known of them while it lasts. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Body } from './body.ts';
import type { Fault } from './faults.ts';
import type { RequestRecord } from './log.ts';

/** What the header x-amz-target of KMS calls begins with. */
export const KMS_TARGET = 'TrentService.';

/** Thrown once the connection is gone: nobody waits for an answer. */
export class ConnectionLost extends Error {}

export interface Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  fault: Fault | undefined;
  body: Body | undefined;
}

export function newExchange(request: IncomingMessage, response: ServerResponse, count: number): Exchange {
  return {
    id: `SANDBOX${String(count).padStart(9, '0')}`,
    request,
    response,
    record: newRecord(request),
    fault: undefined,
    body: undefined,
  };
}

function newRecord(request: IncomingMessage): RequestRecord {
  const isKms = String(request.headers['x-amz-target'] ?? '').startsWith(KMS_TARGET);
  return {
    time: now(),
    firstByteTime: null,
    service: isKms ? 'kms' : 's3',
    operation: request.method ?? '',
    bucket: null,
    key: null,
    partNumber: null,
    uploadId: null,
    bytesIn: 0,
    bytesOut: 0,
    status: 0,
    errorCode: null,
    fault: null,
    ms: 0,
  };
}

/** Milliseconds since 1970, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

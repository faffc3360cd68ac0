/** One request, its response, and what is known of them while it lasts. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Body } from './body.ts';
import type { Fault } from './faults.ts';
import type { RequestRecord, ServiceName } from './log.ts';

/** What the header x-amz-target begins with, of services that have one. */
export const TARGETS = { kms: 'TrentService.', servicequotas: 'ServiceQuotasV20190624.' } as const;

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
  const id = `SANDBOX${String(count).padStart(9, '0')}`;
  return {
    id,
    request,
    response,
    record: newRecord(request, id),
    fault: undefined,
    body: undefined,
  };
}

function newRecord(request: IncomingMessage, requestId: string): RequestRecord {
  return {
    time: now(),
    firstByteTime: null,
    service: serviceOf(request),
    requestId,
    operation: request.method ?? '',
    bucket: null,
    key: null,
    partNumber: null,
    uploadId: null,
    bytesIn: 0,
    bytesOut: 0,
    kmsCalls: 0,
    status: 0,
    errorCode: null,
    fault: null,
    ms: 0,
  };
}

function serviceOf({ headers }: IncomingMessage): ServiceName {
  const target = String(headers['x-amz-target'] ?? '');
  if (target.startsWith(TARGETS.kms)) return 'kms';
  return target.startsWith(TARGETS.servicequotas) ? 'servicequotas' : 's3';
}

/** Milliseconds since 1970, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

import type { JobResult } from '../../src/job.ts';

/** Of a job that had nothing to do, to be filled with what a test is about. */
export const emptyResult: JobResult = {
  command: 'migrate',
  job: 'migrate-aaaaaaaaaa',
  object: null,
  objects: 0,
  failed: 0,
  skipped: 0,
  plainBytes: 0,
  sealedBytes: 0,
  parts: 0,
  partsReused: 0,
  seconds: 0,
  cpuSeconds: 0,
  peakRssBytes: 0,
  kmsCalls: 0,
  kmsRequestIds: [],
  warnings: [],
};

import { type JobResult, nothingDone } from '../../src/job.ts';

/** Of a job that had nothing to do, to be filled with what a test is about. */
export const emptyResult: JobResult = { command: 'migrate', job: 'migrate-aaaaaaaaaa', object: null, ...nothingDone };

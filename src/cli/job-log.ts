/**
 * `--log-json`: what matters of a job, a line of JSON each, for whoever keeps logs. Fields are named one by one, so that what
 * an event may come to hold one day is in no log by itself.
 */
import { closeSync, constants, fchmodSync, openSync, statSync, writeSync } from 'node:fs';
import type { Logger } from 'pino';
import { SealiftError } from '../errors.ts';
import type { JobEvent, JobResult } from '../index.ts';
import { type Output, visible } from './output.ts';

const STDERR = '-';

export class JobLog implements Disposable {
  readonly #log: Logger;
  readonly #fd: number | undefined;
  /** Of the job that has begun. */
  #command: JobResult['command'] | undefined;

  private constructor(log: Logger, fd: number | undefined) {
    this.#log = log;
    this.#fd = fd;
  }

  /** Appends to `file`, which nobody else may read from then on; `-` is standard error. Throws `bad-option`. */
  static async open(file: string, output: Output): Promise<JobLog> {
    const fd = file === STDERR ? undefined : openPrivate(file);
    // Loaded where it is wanted: most jobs keep no log.
    const { pino } = await import('pino');
    let isLost = false;
    // What is foreign is made visible: its escapes are those of JSON too.
    const write = (line: string) => {
      try {
        if (fd === undefined) process.stderr.write(visible(line));
        else writeSync(fd, visible(line));
      } catch (error) {
        // The job matters more than its log, and says once that it goes on without.
        if (!isLost) output.warn(`${file}: ${(error as Error).message}. The log is not complete.`);
        isLost = true;
      }
    };
    const level = (label: string) => ({ level: label });
    const options = { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level } };
    return new JobLog(pino(options, { write }), fd);
  }

  hear(event: JobEvent): void {
    switch (event.type) {
      case 'start': {
        const { job, command, object, resumed } = event;
        this.#command = command;
        this.#log.info({ event: 'start', job, command, object, resumed });
        return;
      }
      case 'object': {
        const { name, size, outcome, code, message } = event;
        const level = outcome === 'failed' ? 'warn' : 'info';
        this.#log[level]({ event: 'object', name, size, outcome, code, message });
        return;
      }
      case 'retry': {
        const { call, reason, throttled } = event;
        this.#log.info({ event: 'retry', call, reason, throttled });
        return;
      }
      case 'lanes': {
        const { from, to, reason } = event;
        this.#log.info({ event: 'lanes', from, to, reason });
        return;
      }
      case 'restart':
        this.#log.warn({ event: 'restart', reason: event.reason });
        return;
      case 'limiter':
      case 'warning':
        this.#log.warn({ event: event.type, message: event.message });
    }
  }

  result(result: JobResult): void {
    const { job, command, objects, failed, skipped, failures, plainBytes, sealedBytes, seconds, kmsCalls } = result;
    const counts = { objects, failed, skipped, failures, plainBytes, sealedBytes, seconds, kmsCalls };
    this.#log.info({ event: 'result', job, command, ...counts });
  }

  /** Of a migration that has begun it is a pause: the job stays, and can be gone on with. */
  failed(thrown: unknown): void {
    const { code, message, hint, exit } = SealiftError.from(thrown);
    this.#log.error({ event: this.#command === 'migrate' ? 'pause' : 'error', code, message, hint, exit });
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** Looked at before it is opened: to open a pipe that nobody reads would wait for ever. */
function openPrivate(file: string): number {
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found && !found.isFile()) throw new Error('not a file');
    const fd = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    fchmodSync(fd, 0o600);
    return fd;
  } catch (thrown) {
    throw new SealiftError('bad-option', `--log-json ${file}: ${(thrown as Error).message}`, {
      hint: 'Name a file that can be written to, or - for standard error.',
      cause: thrown,
    });
  }
}

/** Who else follows a job than the person at the terminal: a Prometheus, a log. */
import type { Command } from 'commander';
import type { JobEvent, JobResult } from '../index.ts';
import { loopback, pathOrDash } from './flag-values.ts';
import { JobLog } from './job-log.ts';
import { Metrics } from './metrics.ts';
import { flag, type WatchFlags } from './options.ts';
import type { Output } from './output.ts';

export function watchOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .addOption(flag('--metrics <address:port>', 'for Prometheus, while it runs: 127.0.0.1:9400, say', loopback))
    .addOption(flag('--log-json <file>', 'append a line of JSON for each event; - is standard error', pathOrDash));
}

export class Watchers implements AsyncDisposable {
  readonly #metrics: Metrics | undefined;
  readonly #log: JobLog | undefined;

  private constructor(metrics: Metrics | undefined, log: JobLog | undefined) {
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Throws `bad-option` where one of them cannot be. */
  static async open({ metrics: address, logJson }: WatchFlags, output: Output): Promise<Watchers> {
    const log = logJson === undefined ? undefined : await JobLog.open(logJson, output);
    const metrics = address && (await Metrics.serve(address));
    if (metrics) output.say(`Metrics: ${metrics.url}`);
    return new Watchers(metrics, log);
  }

  hear(event: JobEvent): void {
    this.#metrics?.hear(event);
    this.#log?.hear(event);
  }

  result(result: JobResult): void {
    this.#log?.result(result);
  }

  failed(thrown: unknown): void {
    this.#log?.failed(thrown);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#log?.[Symbol.dispose]();
    await this.#metrics?.[Symbol.asyncDispose]();
  }
}

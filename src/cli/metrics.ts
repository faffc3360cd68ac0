/**
 * `--metrics`: what a job has come to, for a Prometheus that asks. Counts alone are told, no names; and only on this machine,
 * because nobody who asks is known.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Counter, Gauge, Registry } from 'prom-client';
import { SealiftError } from '../errors.ts';
import type { JobEvent, ObjectsProgress } from '../index.ts';
import { http } from '../network.ts';
import type { Address } from './flag-values.ts';

type ObjectState = 'waiting' | 'done' | 'failed' | 'skipped';

export class Metrics implements AsyncDisposable {
  readonly #server: Server;
  readonly #objects: Gauge<'state'>;
  readonly #failures: Counter<'code'>;
  readonly #bytes: Record<'acked' | 'reused' | 'total', Gauge>;
  readonly #kmsCalls: Counter;
  readonly #retries: Counter;
  readonly #throttles: Counter;
  readonly #lanes: Gauge;

  private constructor(server: Server, registry: Registry, { Counter, Gauge }: typeof import('prom-client')) {
    const registers = [registry];
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#server = server;
    this.#objects = new Gauge({
      name: 'sealift_objects',
      help: 'Objects of the job that are listed, by state',
      labelNames: ['state'],
      registers,
    });
    this.#failures = new Counter({
      name: 'sealift_failures_total',
      help: 'Objects that failed in this run, by code',
      labelNames: ['code'],
      registers,
    });
    this.#bytes = {
      acked: gauge('sealift_acked_bytes', 'Plain bytes that the other side has acknowledged, reused ones included'),
      reused: gauge('sealift_reused_bytes', 'Plain bytes that were there from before'),
      total: gauge('sealift_total_bytes', 'Plain bytes of all that is listed'),
    };
    this.#kmsCalls = counter('sealift_kms_calls_total', 'Calls to KMS in this run');
    this.#retries = counter('sealift_retries_total', 'Requests to S3 or KMS made again in this run');
    this.#throttles = counter('sealift_throttles_total', 'Times S3 or KMS asked for fewer requests in this run');
    this.#lanes = gauge('sealift_lanes', 'Parts of large objects in flight at most; there once that has changed');
    // It is not 0 until then: nobody has said.
    this.#lanes.remove();
  }

  /** Serves `/metrics` there until disposed of. Throws `bad-option` where nobody can listen. */
  static async serve({ host, port }: Address): Promise<Metrics> {
    // Loaded where it is wanted: most jobs are not asked.
    const { default: client } = await import('prom-client');
    const registry = new client.Registry();
    const server = http.createServer(async ({ url, method }, response) => {
      if (url !== '/metrics' || method !== 'GET') return response.writeHead(404).end('Ask for /metrics.\n');
      return response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics());
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, resolve);
      });
    } catch (thrown) {
      throw new SealiftError('bad-option', `--metrics: ${(thrown as Error).message}`, {
        hint: 'Give another port, or 0 for any that is free.',
        cause: thrown,
      });
    }
    return new Metrics(server, registry, client);
  }

  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics`;
  }

  hear(event: JobEvent): void {
    switch (event.type) {
      case 'progress':
        this.#bytes.acked.set(event.ackedBytes);
        this.#bytes.reused.set(event.reusedBytes);
        this.#bytes.total.set(event.totalBytes);
        this.#kmsCalls.reset();
        this.#kmsCalls.inc(event.kmsCalls);
        if (event.objects) this.#count(event.objects);
        return;
      case 'object':
        if (event.outcome === 'failed') this.#failures.inc({ code: event.code ?? 'internal' });
        return;
      case 'retry':
        this.#retries.inc();
        if (event.throttled) this.#throttles.inc();
        return;
      case 'lanes':
        this.#lanes.set(event.to);
    }
  }

  #count({ listed, done, failed, skipped }: ObjectsProgress): void {
    const states: Record<ObjectState, number> = { waiting: listed - done - failed - skipped, done, failed, skipped };
    for (const [state, count] of Object.entries(states)) this.#objects.set({ state }, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

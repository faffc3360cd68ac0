/** How fast something moves: over the last seconds, because older ones say nothing about the time left. */

/** What has moved, at a moment. */
interface Sample {
  ms: number;
  count: number;
}

export class Rate {
  readonly #windowMs: number;
  readonly #samples: Sample[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** So many bytes, or calls, have moved by now. */
  add(count: number, ms = performance.now()): void {
    this.#samples.push({ ms, count });
    while (ms - this.#samples[0]!.ms > this.#windowMs) this.#samples.shift();
  }

  /** What has moved is done again. */
  clear(): void {
    this.#samples.length = 0;
  }

  /** 0 where there is nothing to tell yet. */
  get perSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || first.ms === last.ms) return 0;
    return ((last.count - first.count) / (last.ms - first.ms)) * 1000;
  }
}

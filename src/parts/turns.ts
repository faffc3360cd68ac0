/** Lets callers through one after the other, in the order of their numbers, from 1, whatever order they come in. */
export class Turns {
  #next = 1;
  #stopped: { reason: unknown } | undefined;
  /** As many as there are lanes at most. */
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();

  /** Resolves when all numbers before have been passed; rejects with the reason of `stop`. Each number comes once. */
  async take(number: number): Promise<void> {
    if (this.#stopped) throw this.#stopped.reason;
    if (number === this.#next) return;
    const turn = Promise.withResolvers<void>();
    this.#waiting.set(number, turn);
    await turn.promise;
  }

  /** Whoever's turn it was is done: the next may go. */
  pass(): void {
    this.#next++;
    this.#waiting.get(this.#next)?.resolve();
    this.#waiting.delete(this.#next);
  }

  /** Nobody's turn comes any more. */
  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    for (const turn of this.#waiting.values()) turn.reject(reason);
    this.#waiting.clear();
  }
}

/**
 * What was used last. Each folder of a directory is a store of its own, and there may be a million of them: those that were
 * not used for long are forgotten, and made again if need be.
 */

/** More folders than objects are in flight at once. */
export const MOST_FOLDERS = 1000;

export class Recent<Value> {
  readonly #most: number;
  /** The one used longest ago first. */
  readonly #values = new Map<string, Value>();

  /** So many are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The value of this name, made where there is none. */
  get(name: string, make: () => Value): Value {
    const value = this.#values.has(name) ? this.#values.get(name)! : make();
    this.#values.delete(name);
    this.#values.set(name, value);
    if (this.#values.size > this.#most) this.#values.delete(this.#values.keys().next().value!);
    return value;
  }

  values(): Iterable<Value> {
    return this.#values.values();
  }
}

/**
 * What is made when it is first asked for, once, whoever else asks meanwhile. What failed once, a region that was not
 * set, may succeed when it is asked for again.
 */
export class Once<T> {
  #made: Promise<T> | undefined;

  get(make: () => Promise<T>): Promise<T> {
    if (!this.#made) {
      this.#made = make();
      this.#made.catch(() => {
        this.#made = undefined;
      });
    }
    return this.#made;
  }

  /** Undefined where it was never asked for, or failed. */
  async ifMade(): Promise<T | undefined> {
    return await this.#made?.catch(() => undefined);
  }
}

/** What is on its way at this moment, for whoever looks on: small objects are counted, large ones have names. */
import type { ObjectsProgress } from '../job.ts';
import type { ObjectRow } from '../ledger/types.ts';

export class Moving {
  #small = 0;
  readonly #large = new Set<string>();

  get standing(): NonNullable<ObjectsProgress['moving']> {
    return { small: this.#small, large: [...this.#large] };
  }

  /** They are on their way until this is disposed of. */
  begin(objects: readonly Pick<ObjectRow, 'name' | 'isLarge'>[]): Disposable {
    const large = objects.filter(({ isLarge }) => isLarge);
    const smallCount = objects.length - large.length;
    this.#small += smallCount;
    for (const { name } of large) this.#large.add(name);
    return {
      [Symbol.dispose]: () => {
        this.#small -= smallCount;
        for (const { name } of large) this.#large.delete(name);
      },
    };
  }
}

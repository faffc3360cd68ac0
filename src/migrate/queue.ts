/** The ledger as a queue: whoever moves objects takes those that wait, page by page, while more are being listed. */
import type { BulkLedger } from '../ledger/bulk.ts';
import type { ObjectRow } from '../ledger/types.ts';

/** Rows of a page: enough to fill some batches, and what is known of them at a time. */
const PAGE_COUNT = 256;

export class Queue {
  readonly #ledger: BulkLedger;
  readonly #stop: AbortSignal;
  #changed = Promise.withResolvers<void>();
  #isListed = false;

  constructor(ledger: BulkLedger, stop: AbortSignal) {
    this.#ledger = ledger;
    this.#stop = stop;
    stop.addEventListener('abort', () => this.tell(), { once: true });
  }

  get isListed(): boolean {
    return this.#isListed;
  }

  /** More objects may wait than before. */
  tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** All there is to list is in the ledger. */
  endListing(): void {
    this.#isListed = true;
    this.tell();
  }

  /**
   * Pages of those that wait, until all are listed and none does. No row of a page may wait any longer when the next page
   * is asked for, or it comes again.
   */
  async *pages(wanted: { isLarge: boolean; attempts: number }): AsyncGenerator<ObjectRow[], void> {
    while (!this.#stop.aborted) {
      // Looked at first: a page may be added right behind our back.
      const isListed = this.#isListed;
      const changed = this.#changed.promise;
      const rows = this.#ledger.pending({ ...wanted, limit: PAGE_COUNT });
      if (rows.length > 0) yield rows;
      else if (isListed) return;
      else await changed;
    }
  }
}

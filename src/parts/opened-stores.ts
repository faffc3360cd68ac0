/** The stores of a thread: one, and so one pool of connections, per bucket or directory. */
import type { KeyObject } from 'node:crypto';
import type { StoreAids, StoreSettings } from '../stores/open.ts';
import { MOST_FOLDERS, Recent } from './recent.ts';
import type { StoreAccess } from './task.ts';

/** What is opened: all of a store, or what parts need of it. */
export interface Opened<Kind> {
  withCustomerKey(key: KeyObject | undefined): Kind;
}

interface Entry<Kind> extends Pick<StoreAccess, 'credentials'> {
  store: Promise<Kind>;
}

export class OpenedStores<Kind extends Opened<Kind>> {
  readonly #open: (settings: StoreSettings, aids: StoreAids) => Promise<Kind>;
  readonly #aids: Omit<StoreAids, 'credentials'>;
  readonly #buckets = new Recent<Entry<Kind>>(Number.POSITIVE_INFINITY);
  readonly #directories = new Recent<Entry<Kind>>(MOST_FOLDERS);

  constructor(open: (settings: StoreSettings, aids: StoreAids) => Promise<Kind>, aids: Omit<StoreAids, 'credentials'>) {
    this.#open = open;
    this.#aids = aids;
  }

  /** It signs with the newest credentials a task has brought. */
  async for({ settings, credentials, customerKey }: StoreAccess): Promise<Kind> {
    const opened = 'directory' in settings ? this.#directories : this.#buckets;
    const entry = opened.get(JSON.stringify(settings), () => this.#enter(settings, credentials));
    entry.credentials = credentials;
    return (await entry.store).withCustomerKey(customerKey);
  }

  #enter(settings: StoreSettings, credentials: StoreAccess['credentials']): Entry<Kind> {
    const entry: Entry<Kind> = {
      credentials,
      store: this.#open(settings, { ...this.#aids, credentials: async () => entry.credentials }),
    };
    return entry;
  }
}

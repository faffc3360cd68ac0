/**
 * A thread's side: takes tasks, keeps what tasks share (buffers, one store per bucket or directory), and turns every outcome
 * into data. Several tasks run at once in a thread: while one waits for the network another seals.
 */
import type { MessagePort } from 'node:worker_threads';
import { type ErrorData, SealiftError } from '../errors.ts';
import type { Intent } from '../ledger/types.ts';
import { openStore } from '../stores/open.ts';
import type { Store } from '../stores/store.ts';
import { BufferPool } from './buffers.ts';
import { openPart } from './open-part.ts';
import { sealPart } from './seal-part.ts';
import type { Link, OpenReceipt, PartTask, Receipt, StoreAccess, TaskAnswer } from './task.ts';

export interface ThreadCall {
  task: PartTask;
  /** Where intents go up and the go comes down. */
  port: MessagePort;
}

const buffers = new BufferPool();
interface OpenedStore extends Pick<StoreAccess, 'credentials'> {
  store: Promise<Store>;
}

const stores = new Map<string, OpenedStore>();

export async function runTask({ task, port }: ThreadCall): Promise<TaskAnswer<Receipt | OpenReceipt>> {
  try {
    const store = await storeFor(task.store);
    if (task.kind === 'seal') return { value: await sealPart(task, store, linkOver(port), buffers) };
    const receipt = await openPart(task, store, buffers);
    if (receipt.plain) port.postMessage(receipt.plain, [receipt.plain]);
    return { value: { plainSize: receipt.plainSize } };
  } catch (error) {
    return { error: SealiftError.from(error).toJSON() };
  } finally {
    port.close();
  }
}

/** One store, and so one pool of connections, per bucket; it signs with the newest credentials a task has brought. */
function storeFor(access: StoreAccess): Promise<Store> {
  const id = JSON.stringify(access.settings);
  let entry = stores.get(id);
  if (!entry) {
    const fresh: OpenedStore = {
      credentials: access.credentials,
      store: openStore(access.settings, async () => fresh.credentials),
    };
    stores.set(id, fresh);
    entry = fresh;
  }
  entry.credentials = access.credentials;
  return entry.store;
}

function linkOver(port: MessagePort): Link {
  return {
    announce: (intent: Intent) =>
      new Promise((resolve, reject) => {
        port.once('message', (answer: ErrorData | 'go') =>
          answer === 'go' ? resolve() : reject(SealiftError.revive(answer)),
        );
        port.postMessage(intent);
      }),
  };
}

/**
 * Calls that take effect (a PutObject, a Complete) are not cut where the user wants to stop: a moment later they may
 * be through. But a server that has gone silent must not keep anybody, so the wait has the same end as that of parts.
 */
import { GRACE_MS } from '../parts/lanes.ts';

/** Runs `work` with a signal that aborts `GRACE_MS` after `stop` does. */
export async function withGrace<T>(stop: AbortSignal | undefined, work: (cut: AbortSignal) => Promise<T>): Promise<T> {
  const cut = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const begin = () => {
    timer = setTimeout(() => cut.abort(stop?.reason), GRACE_MS);
  };
  if (stop?.aborted) begin();
  else stop?.addEventListener('abort', begin, { once: true });
  try {
    return await work(cut.signal);
  } finally {
    stop?.removeEventListener('abort', begin);
    clearTimeout(timer);
  }
}

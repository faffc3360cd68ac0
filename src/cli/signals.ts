/** Ctrl-C: the first asks, the second insists. */
import { EXIT, SealiftError } from '../errors.ts';
import type { Output } from './output.ts';

/** Under `npm run sealift` one Ctrl-C arrives twice: from the terminal, and passed on by npm. */
const NPM_ECHO_MS = 150;

/**
 * A signal that aborts at the first SIGINT or SIGTERM, with the `interrupted` error as its reason. The second exits at
 * once: whatever is on the disk by then is enough to go on from.
 */
export function stopOnSignals(output: Output): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  function stop(): void {
    if (!controller.signal.aborted) {
      firstMs = performance.now();
      output.say('Stopping: what is in flight may take up to 10 s to end. Press again to stop at once.');
      controller.abort(
        new SealiftError('interrupted', 'Interrupted', { hint: 'Run the same command again to go on.' }),
      );
    } else if (process.env.npm_lifecycle_event !== 'sealift' || performance.now() - firstMs > NPM_ECHO_MS) {
      process.exit(EXIT.secondInterrupt);
    }
  }
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller.signal;
}

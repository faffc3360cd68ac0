/**
 * The hashing thread's side. A signature is over all of a message's bytes in order, so no two threads can share the work:
 * this one does it, and nothing else, for every message that is being signed. Parts come in on the message's own port
 * and go back on it; what is hashed of a message is lost when its port is closed.
 */
import type { KeyObject } from 'node:crypto';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { SignatureMaker } from '../formats/esdk/signature.ts';
import { P384 } from '../formats/esdk/suites.ts';

/** A message to be signed: its port, and its private key. */
export interface HashCall {
  port: MessagePort;
  privateKey: KeyObject;
}

/** What comes in on a message's port: the next sealed bytes, which are moved here and back, or the wish for the footer. */
export type HashRequest = Uint8Array<ArrayBuffer> | 'sign';

parentPort!.on('message', ({ port, privateKey }: HashCall) => {
  const maker = new SignatureMaker(P384, privateKey);
  port.on('message', (request: HashRequest) => {
    if (request === 'sign') return port.postMessage(maker.footer());
    maker.update(request);
    port.postMessage(request, [request.buffer]);
  });
});

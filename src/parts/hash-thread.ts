/**
 * The hashing thread's side. A signature is over all of a message's bytes in order, so no two threads can share the work:
 * this one does it, and nothing else, for every message that is being signed. Each message has a port of its own; what is
 * hashed of it is lost when the port is closed.
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

/** What comes in on a message's port: the next sealed bytes, in shared memory, or the wish for the footer. */
export type HashRequest = Uint8Array | 'sign';

/** What goes out: the footer, or word that the bytes are hashed. */
export type HashAnswer = Uint8Array | 'hashed';

parentPort!.on('message', ({ port, privateKey }: HashCall) => {
  const maker = new SignatureMaker(P384, privateKey);
  const answer = (request: HashRequest): HashAnswer => {
    if (request === 'sign') return maker.footer();
    maker.update(request);
    return 'hashed';
  };
  port.on('message', (request: HashRequest) => port.postMessage(answer(request)));
});

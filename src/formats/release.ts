/**
 * Gives the memory of `bytes` back at once, if nothing else lies in it. Whoever calls this owned the bytes and is done
 * with them: they read as empty from now on. Memory behind buffers is not in the JavaScript heap, so the collector sees
 * little reason to hurry; at full speed hundreds of megabytes of read and copied chunks would wait for it.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0);
}

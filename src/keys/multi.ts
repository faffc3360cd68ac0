/**
 * Several keyrings as one: the first makes the data key, the others wrap it too, and whichever can opens it again.
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { firstToOpen } from './attempts.ts';
import { sealingMaterials } from './data-key.ts';
import type { DataKey, Keyring, KeyringRequest, OpenKeyRequest, SealingMaterials, WrappingKeyring } from './keyring.ts';
import { checkOneKey } from './s3ec-wrapping.ts';

/** `keyrings` has at least one. */
export function multiKeyring(keyrings: readonly WrappingKeyring[]): Keyring {
  if (keyrings.length === 0) throw new RangeError('keyrings: expected at least one');
  return new MultiKeyring(keyrings);
}

class MultiKeyring implements Keyring {
  readonly id: string;
  readonly #keyrings: readonly WrappingKeyring[];

  constructor(keyrings: readonly WrappingKeyring[]) {
    this.id = JSON.stringify(['multi', ...keyrings.map(({ id }) => id)]);
    this.#keyrings = keyrings;
  }

  async makeDataKey(request: KeyringRequest): Promise<SealingMaterials> {
    if (request.contentAlgorithm !== undefined) checkOneKey(this.#keyrings.length);
    const [first, ...others] = this.#keyrings;
    const made = await first!.makeDataKey(request);
    try {
      const encryptedDataKeys: EncryptedDataKey[] = [...made.encryptedDataKeys];
      for (const other of others) encryptedDataKeys.push(...(await other.wrapDataKey(made.dataKey, request)));
      return sealingMaterials(made.dataKey, encryptedDataKeys, made.made);
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    }
  }

  openDataKey(request: OpenKeyRequest): Promise<DataKey> {
    const attempts = this.#keyrings.map((keyring) => () => keyring.openDataKey(request));
    return firstToOpen(attempts, { encryptedDataKeys: request.encryptedDataKeys, tried: 'any of the keys given' });
  }
}

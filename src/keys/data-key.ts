/**
 * A data key in plain: bytes of their own, outside Node's shared buffer pool, zeroed by whoever owns them.
 */
import type { EncryptedDataKey } from '../formats/esdk/header.ts';
import { DATA_KEY_SIZE } from '../formats/esdk/keys.ts';
import { freshRandom } from '../random.ts';
import type { DataKey, KeyMaking, SealingMaterials } from './keyring.ts';

/** A fresh data key, which no clone of this process makes too. */
export function randomDataKey(): DataKey {
  return own(freshRandom(DATA_KEY_SIZE));
}

/** A data key with a copy of `bytes`, which stay the caller's. */
export function copyDataKey(bytes: Uint8Array): DataKey {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return own(copy);
}

/** A data key with its wrapped copies; disposing of them disposes of the key. */
export function sealingMaterials(
  dataKey: DataKey,
  encryptedDataKeys: readonly EncryptedDataKey[],
  made?: KeyMaking,
): SealingMaterials {
  return { dataKey, encryptedDataKeys, made, [Symbol.dispose]: () => dataKey[Symbol.dispose]() };
}

function own(bytes: Buffer): DataKey {
  return {
    bytes,
    [Symbol.dispose]: () => {
      bytes.fill(0);
    },
  };
}

/** The official client's keyrings, asked for the wrapping of data keys alone, without messages around them. */
import {
  AlgorithmSuiteIdentifier,
  type KeyringNode,
  NodeAlgorithmSuite,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
  EncryptedDataKey as OfficialDataKey,
  unwrapDataKey,
} from '@aws-crypto/client-node';
import type { EncryptedDataKey } from '../../src/formats/esdk/header.ts';

type Context = Record<string, string>;

const suite = new NodeAlgorithmSuite(AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY);

export async function officialWrap(keyring: KeyringNode, encryptionContext: Context) {
  const material = await keyring.onEncrypt(new NodeEncryptionMaterial(suite, encryptionContext));
  const encryptedDataKeys: EncryptedDataKey[] = material.encryptedDataKeys.map((wrapped) => ({
    providerId: wrapped.providerId,
    providerInfo: Buffer.from(wrapped.rawInfo ?? Buffer.from(wrapped.providerInfo)),
    ciphertext: Buffer.from(wrapped.encryptedDataKey),
  }));
  return { dataKey: plainBytes(material), encryptedDataKeys };
}

export async function officialUnwrap(
  keyring: KeyringNode,
  encryptedDataKeys: readonly EncryptedDataKey[],
  encryptionContext: Context,
): Promise<Buffer> {
  const wrapped = encryptedDataKeys.map(
    ({ providerId, providerInfo, ciphertext }) =>
      new OfficialDataKey({
        providerId,
        providerInfo: providerInfo.toString(),
        rawInfo: new Uint8Array(providerInfo),
        encryptedDataKey: new Uint8Array(ciphertext),
      }),
  );
  return plainBytes(await keyring.onDecrypt(new NodeDecryptionMaterial(suite, encryptionContext), wrapped));
}

function plainBytes(material: NodeEncryptionMaterial | NodeDecryptionMaterial): Buffer {
  return Buffer.from(unwrapDataKey(material.getUnencryptedDataKey()));
}

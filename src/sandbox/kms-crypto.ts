/**
 * The cryptographic operations of KMS, for symmetric keys. They share one quota (KMS Developer Guide, "Request
 * quotas"), which the caller counts.
 */
import { randomBytes } from 'node:crypto';
import { keyIdOfBlob, openBlob, sealBlob } from './kms-blob.ts';
import { KmsError, validationError } from './kms-error.ts';
import type { SandboxKey, SandboxKeys } from './kms-keys.ts';
import type { KmsRequest } from './kms-request.ts';

/** Sizes of the KMS API Reference: Encrypt "Plaintext", Decrypt "CiphertextBlob", GenerateDataKey "NumberOfBytes". */
const MAX_PLAIN_SIZE = 4096;
const MAX_BLOB_SIZE = 6144;
const MAX_RANDOM_SIZE = 1024;

const EncryptionAlgorithm = 'SYMMETRIC_DEFAULT';

type Context = Record<string, string>;
type Operation = (keys: SandboxKeys, request: KmsRequest) => object;

export const CRYPTOGRAPHY: Readonly<Record<string, Operation>> = {
  GenerateDataKey: (keys, request) => {
    const { plain, sealed } = generateDataKey(keys, request, 'GenerateDataKey');
    return { ...sealed, Plaintext: plain.toString('base64') };
  },

  GenerateDataKeyWithoutPlaintext: (keys, request) => {
    return generateDataKey(keys, request, 'GenerateDataKeyWithoutPlaintext').sealed;
  },

  GenerateRandom: (_, request) => {
    refuseUnsupported(request);
    const size = request.optionalInteger('NumberOfBytes', { min: 1, max: MAX_RANDOM_SIZE });
    if (size === undefined) throw validationError('NumberOfBytes', 'Member must not be null');
    return { Plaintext: randomBytes(size).toString('base64') };
  },

  Encrypt: (keys, request) => {
    refuseUnsupported(request);
    const plain = request.bytes('Plaintext', MAX_PLAIN_SIZE);
    const context = request.context('EncryptionContext');
    const key = keys.usable(request.string('KeyId'), 'Encrypt');
    return { ...seal(keys, key, plain, context), EncryptionAlgorithm };
  },

  Decrypt: (keys, request) => {
    refuseUnsupported(request);
    const context = request.context('EncryptionContext');
    const { key, plain } = open(keys, request, 'Decrypt', { keyName: request.optionalString('KeyId'), context });
    return { KeyId: keys.arnOf(key), Plaintext: plain.toString('base64'), EncryptionAlgorithm };
  },

  ReEncrypt: (keys, request) => {
    refuseUnsupported(request);
    // KMS API Reference, ReEncrypt: the permissions are kms:ReEncryptFrom and kms:ReEncryptTo.
    const { key: source, plain } = open(keys, request, 'ReEncryptFrom', {
      keyName: request.optionalString('SourceKeyId'),
      context: request.context('SourceEncryptionContext'),
    });
    const destination = keys.usable(request.string('DestinationKeyId'), 'ReEncryptTo');
    return {
      ...seal(keys, destination, plain, request.context('DestinationEncryptionContext')),
      SourceKeyId: keys.arnOf(source),
      SourceEncryptionAlgorithm: EncryptionAlgorithm,
      DestinationEncryptionAlgorithm: EncryptionAlgorithm,
    };
  },
};

function generateDataKey(keys: SandboxKeys, request: KmsRequest, operation: string) {
  refuseUnsupported(request);
  const plain = randomBytes(dataKeySize(request));
  const key = keys.usable(request.string('KeyId'), operation);
  return { plain, sealed: seal(keys, key, plain, request.context('EncryptionContext')) };
}

/** GenerateDataKey: "You must specify either the KeySpec or the NumberOfBytes parameter (but not both)". */
function dataKeySize(request: KmsRequest): number {
  const size = request.optionalInteger('NumberOfBytes', { min: 1, max: MAX_RANDOM_SIZE });
  const spec = request.optionalString('KeySpec');
  if ((size === undefined) === (spec === undefined)) {
    throw new KmsError('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  if (size !== undefined) return size;
  if (spec === 'AES_256') return 32;
  if (spec === 'AES_128') return 16;
  throw validationError('KeySpec', 'Member must satisfy enum value set: [AES_256, AES_128]', spec);
}

function seal(keys: SandboxKeys, key: SandboxKey, plain: Buffer, context: Context) {
  const blob = sealBlob(key.id, key.secret, plain, context);
  return { KeyId: keys.arnOf(key), CiphertextBlob: blob.toString('base64') };
}

/** Opens a request's CiphertextBlob under the key named inside it; `keyName`, where given, must be the same key. */
function open(
  keys: SandboxKeys,
  request: KmsRequest,
  operation: string,
  { keyName, context }: { keyName: string | undefined; context: Context },
): { key: SandboxKey; plain: Buffer } {
  const blob = request.bytes('CiphertextBlob', MAX_BLOB_SIZE);
  const key = keys.byId(keyIdOfBlob(blob));
  // KMS API Reference, Decrypt: IncorrectKeyException where KeyId is not the key that made the ciphertext.
  if (keyName !== undefined && keys.find(keyName) !== key) {
    const message = 'The key ID in the request does not identify a CMK that can perform this operation.';
    throw new KmsError('IncorrectKeyException', message);
  }
  if (key === undefined) {
    const message =
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, ';
    throw new KmsError('AccessDeniedException', `${message}or you are not allowed to access.`);
  }
  keys.requireUsable(key, operation);
  return { key, plain: openBlob(key.secret, blob, context) };
}

/** What the sandbox cannot do it refuses: to ignore DryRun or an enclave's Recipient would change what a call means. */
function refuseUnsupported(request: KmsRequest): void {
  for (const name of ['DryRun', 'Recipient', 'CustomKeyStoreId']) {
    if (request.has(name)) throw new KmsError('UnsupportedOperationException', `The sandbox does not support ${name}.`);
  }
  for (const name of ['EncryptionAlgorithm', 'SourceEncryptionAlgorithm', 'DestinationEncryptionAlgorithm']) {
    request.only(name, EncryptionAlgorithm);
  }
}

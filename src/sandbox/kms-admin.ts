/**
 * The operations that make, list and change KMS keys. They are outside the shared quota of cryptographic operations.
 */
import { KmsError } from './kms-error.ts';
import type { SandboxKey, SandboxKeys } from './kms-keys.ts';
import type { KmsRequest } from './kms-request.ts';

type Operation = (keys: SandboxKeys, request: KmsRequest) => object;

export const ADMINISTRATION: Readonly<Record<string, Operation>> = {
  CreateKey: (keys, request) => {
    request.only('KeyUsage', 'ENCRYPT_DECRYPT');
    request.only('KeySpec', 'SYMMETRIC_DEFAULT');
    request.only('CustomerMasterKeySpec', 'SYMMETRIC_DEFAULT');
    request.only('Origin', 'AWS_KMS');
    return { KeyMetadata: describe(keys, keys.create(request.optionalString('Description') ?? '')) };
  },

  DescribeKey: (keys, request) => {
    const key = keys.find(request.string('KeyId'));
    keys.authorize(key, 'DescribeKey');
    return { KeyMetadata: describe(keys, key) };
  },

  ListKeys: (keys, request) => {
    const { page, rest } = paginate(keys.keys(), request);
    return { Keys: page.map((key) => ({ KeyId: key.id, KeyArn: keys.arnOf(key) })), ...rest };
  },

  CreateAlias: (keys, request) => {
    const key = keys.findById(request.string('TargetKeyId'));
    if (key.state === 'PendingDeletion') throw keys.pendingDeletion(key);
    keys.addAlias(request.string('AliasName'), key);
    return {};
  },

  ListAliases: (keys, request) => {
    const keyName = request.optionalString('KeyId');
    const keyId = keyName === undefined ? undefined : keys.findById(keyName).id;
    const listed = keys.aliases().filter((alias) => keyId === undefined || alias.keyId === keyId);
    const { page, rest } = paginate(listed, request);
    const aliases = page.map((alias) => ({
      AliasName: alias.name,
      AliasArn: keys.aliasArnOf(alias),
      TargetKeyId: alias.keyId,
      CreationDate: alias.createdMs / 1000,
      LastUpdatedDate: alias.createdMs / 1000,
    }));
    return { Aliases: aliases, ...rest };
  },

  EnableKey: (keys, request) => {
    setState(keys, request, 'Enabled');
    return {};
  },

  DisableKey: (keys, request) => {
    setState(keys, request, 'Disabled');
    return {};
  },

  ScheduleKeyDeletion: (keys, request) => {
    // KMS API Reference, ScheduleKeyDeletion: "between 7 and 30, inclusive", and 30 unless given.
    const days = request.optionalInteger('PendingWindowInDays', { min: 7, max: 30 }) ?? 30;
    const key = keys.findById(request.string('KeyId'));
    if (key.state === 'PendingDeletion') throw keys.pendingDeletion(key);
    const deletionMs = Date.now() + days * 86_400_000;
    keys.change(key, { state: 'PendingDeletion', deletionMs });
    return {
      KeyId: keys.arnOf(key),
      DeletionDate: deletionMs / 1000,
      KeyState: 'PendingDeletion',
      PendingWindowInDays: days,
    };
  },

  CancelKeyDeletion: (keys, request) => {
    const key = keys.findById(request.string('KeyId'));
    if (key.state !== 'PendingDeletion') {
      throw new KmsError('KMSInvalidStateException', `${keys.arnOf(key)} is not pending deletion.`);
    }
    // KMS Developer Guide, "Cancel key deletion": the key is Disabled until someone enables it.
    keys.change(key, { state: 'Disabled' });
    return { KeyId: keys.arnOf(key) };
  },
};

function setState(keys: SandboxKeys, request: KmsRequest, state: 'Enabled' | 'Disabled'): void {
  const key = keys.findById(request.string('KeyId'));
  if (key.state === 'PendingDeletion') throw keys.pendingDeletion(key);
  keys.change(key, { state });
}

function describe(keys: SandboxKeys, key: SandboxKey): object {
  return {
    AWSAccountId: keys.accountId,
    KeyId: key.id,
    Arn: keys.arnOf(key),
    CreationDate: key.createdMs / 1000,
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: key.state,
    ...(key.deletionMs === undefined ? {} : { DeletionDate: key.deletionMs / 1000 }),
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
  };
}

/** KMS API Reference, ListKeys and ListAliases: Limit 1 to 1000, 100 unless given; Marker from NextMarker. */
function paginate<Item>(items: Item[], request: KmsRequest): { page: Item[]; rest: object } {
  const limit = request.optionalInteger('Limit', { min: 1, max: 1000 }) ?? 100;
  const marker = request.optionalString('Marker');
  const first = marker === undefined ? 0 : Number(marker);
  if (!Number.isSafeInteger(first) || first < 0) throw new KmsError('InvalidMarkerException');
  const next = first + limit;
  const rest = next < items.length ? { Truncated: true, NextMarker: String(next) } : { Truncated: false };
  return { page: items.slice(first, next), rest };
}

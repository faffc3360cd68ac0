/** The signing key in the ledger: who lacks the data key, or has another message's, does not get it. */
import { expect, test } from 'vitest';
import { deriveMessageKeys, deriveVaultKey } from '../../src/formats/esdk/keys.ts';
import { makeSigningKey, openSigningKey, sealSigningKey } from '../../src/put/signing-key.ts';
import { Vault } from '../../src/put/vault.ts';
import { errorOf } from '../formats/message.ts';

const secret = { dataKey: Buffer.alloc(32, 'data key'), messageId: Buffer.alloc(32, 'message id') };
const vaultKey = deriveVaultKey(secret);
const vault = { vault: new Vault(vaultKey), header: Buffer.from('header') };
const signingKey = makeSigningKey();
const sealed = sealSigningKey(signingKey, vault);

test('comes back', () => {
  expect(openSigningKey(sealed, vault).equals(signingKey)).toBe(true);
});

test('no two sealings are equal', () => {
  expect(sealSigningKey(signingKey, vault)).not.toBe(sealed);
});

test('is bound to data key, message id and header, byte for byte', () => {
  const changed = Buffer.from(sealed, 'base64');
  changed[20]! ^= 1;
  const others = {
    'another data key': [
      sealed,
      { ...vault, vault: new Vault(deriveVaultKey({ ...secret, dataKey: Buffer.alloc(32, 'no') })) },
    ],
    'another message': [
      sealed,
      { ...vault, vault: new Vault(deriveVaultKey({ ...secret, messageId: Buffer.alloc(32, 'no') })) },
    ],
    'another header': [sealed, { ...vault, header: Buffer.from('Header') }],
    'a flipped bit': [changed.toString('base64'), vault],
    'nothing at all': ['', vault],
  } as const;
  for (const [name, [text, its]] of Object.entries(others)) {
    expect([name, errorOf(() => openSigningKey(text, its)).code]).toEqual([name, 'ledger-corrupt']);
  }
});

test('its vault has a key of its own', () => {
  const { frameKey, ledgerKey, commitment } = deriveMessageKeys(secret);
  const bytes = [frameKey, ledgerKey, vaultKey].map((key) => key.export().toString('hex'));
  expect(new Set([...bytes, commitment.toString('hex')]).size).toBe(4);
});

/** What raw keys are called: a namespace and a name, which every wrapped data key bears. */
import { SealiftError } from '../errors.ts';

/** Under them a key is found again; neither is secret. */
export interface RawKeyNames {
  namespace: string;
  name: string;
}

/** Throws `bad-option`. Providers of AWS's own have names that begin with aws-kms. */
export function checkRawNames({ namespace, name }: RawKeyNames): void {
  if (namespace === '' || namespace.startsWith('aws-kms')) {
    throw badRawKey('namespace', 'a text that does not begin with aws-kms', JSON.stringify(namespace));
  }
  if (name === '') throw badRawKey('name', 'a text', '""');
}

export function badRawKey(member: string, expected: string, got: string): SealiftError {
  return new SealiftError('bad-option', `The raw key's ${member} must be ${expected}, not ${got}`, {
    hint: 'Make a new key file with: sealift keygen FILE.',
  });
}

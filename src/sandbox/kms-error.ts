/**
 * A KMS error as it goes over the wire: `{"__type": …, "message": …}`. Every client error of KMS is HTTP 400 (KMS API
 * Reference, "Common Errors" and each operation's "Errors").
 */
export class KmsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message = '', status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }

  get body(): object {
    // KMS says nothing more about a ciphertext it cannot open: InvalidCiphertextException comes without a message.
    return this.message === '' ? { __type: this.type } : { __type: this.type, message: this.message };
  }
}

/** The front end's complaint about one member, in the words AWS's services share. */
export function validationError(member: string, constraint: string, value?: unknown): KmsError {
  const name = member.charAt(0).toLowerCase() + member.slice(1);
  const shown = value === undefined ? 'Value null' : `Value '${String(value)}'`;
  const message = `1 validation error detected: ${shown} at '${name}' failed to satisfy constraint: ${constraint}`;
  return new KmsError('ValidationException', message);
}

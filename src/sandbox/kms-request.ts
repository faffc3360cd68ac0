/**
 * Reads the members of a KMS request: AWS JSON 1.1, blobs as base64 (smithy.io, "AWS JSON 1.1 protocol"). Limits are
 * those of the KMS API Reference, given by the caller. Members it does not ask for are ignored, as AWS does.
 */
import { KmsError, validationError } from './kms-error.ts';

export class KmsRequest {
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(body: unknown) {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new KmsError('SerializationException');
    this.#members = body as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.#members[name] !== undefined && this.#members[name] !== null;
  }

  string(name: string): string {
    const value = this.optionalString(name);
    if (value === undefined) throw validationError(name, 'Member must not be null');
    if (value === '') throw validationError(name, 'Member must have length greater than or equal to 1', value);
    return value;
  }

  optionalString(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#members[name];
    if (typeof value !== 'string') throw new KmsError('SerializationException', `${name} is not a string`);
    return value;
  }

  optionalInteger(name: string, range: { min: number; max: number }): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#members[name];
    if (!Number.isInteger(value)) throw new KmsError('SerializationException', `${name} is not an integer`);
    if ((value as number) < range.min) {
      throw validationError(name, `Member must have value greater than or equal to ${range.min}`, value);
    }
    if ((value as number) > range.max) {
      throw validationError(name, `Member must have value less than or equal to ${range.max}`, value);
    }
    return value as number;
  }

  /** A blob of 1 to `maxSize` bytes. */
  bytes(name: string, maxSize: number): Buffer {
    const text = this.optionalString(name);
    if (text === undefined) throw validationError(name, 'Member must not be null');
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw new KmsError('SerializationException', `${name} is not base64`);
    if (bytes.length === 0) throw validationError(name, 'Member must have length greater than or equal to 1', '');
    if (bytes.length > maxSize) {
      throw validationError(name, `Member must have length less than or equal to ${maxSize}`, '<blob>');
    }
    return bytes;
  }

  /** A map of strings; absent and empty are the same. */
  context(name: string): Record<string, string> {
    if (!this.has(name)) return {};
    const value = this.#members[name];
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMap || Object.values(value).some((item) => typeof item !== 'string')) {
      throw new KmsError('SerializationException', `${name} is not a map of strings`);
    }
    return value as Record<string, string>;
  }

  /** One of `allowed`, which is all that the sandbox can do. */
  only(name: string, allowed: string): void {
    const value = this.optionalString(name);
    if (value !== undefined && value !== allowed) {
      throw new KmsError('UnsupportedOperationException', `The sandbox knows ${name} ${allowed} only, not ${value}.`);
    }
  }
}

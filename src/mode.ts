/**
 * A source file's permissions, as they are kept with an object: in user metadata, in octal. Metadata is not authenticated,
 * and whoever restores a file has a umask: so nothing is kept or taken but who may read, write and run it.
 */
import type { ObjectInfo } from './stores/store.ts';

export const MODE_METADATA = 'sealift-mode';

/** Neither setuid, setgid nor sticky. */
const PERMISSIONS = 0o777;

/** Undefined where the metadata hold none. */
export function modeOf({ metadata }: Pick<ObjectInfo, 'metadata'>): number | undefined {
  const text = metadata[MODE_METADATA];
  return text !== undefined && /^[0-7]{3,6}$/.test(text) ? Number.parseInt(text, 8) & PERMISSIONS : undefined;
}

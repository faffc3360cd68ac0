/**
 * A source file's permissions, as they are kept with an object: in user metadata, in octal. Metadata is not authenticated,
 * and whoever restores a file has a umask: so nothing is kept or taken but who may read, write and run it.
 */

export const MODE_METADATA = 'sealift-mode';

/** Neither setuid, setgid nor sticky. */
const PERMISSIONS = 0o777;

/** Less what the umask takes from every file. Undefined where the metadata hold none. */
export function modeOf(
  { metadata }: { metadata: Readonly<Record<string, string>> },
  umask = process.umask(),
): number | undefined {
  const text = metadata[MODE_METADATA];
  return text !== undefined && /^[0-7]{3,6}$/.test(text) ? Number.parseInt(text, 8) & PERMISSIONS & ~umask : undefined;
}

/** `sealift --version`: what runs here. A report of a bug begins with it. */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

export interface Version {
  version: string;
  node: string;
  openssl: string;
  platform: NodeJS.Platform;
  arch: string;
}

export function versionOf(): Version {
  const { version } = JSON.parse(readFileSync(findPackageJSON(import.meta.url)!, 'utf8'));
  const { platform, arch, versions } = process;
  return { version, node: versions.node, openssl: versions.openssl, platform, arch };
}

/** One line, for people or for machines. */
export function versionText({ json }: { json?: boolean | undefined }): string {
  const { version, node, openssl, platform, arch } = versionOf();
  if (json) return JSON.stringify({ type: 'version', version, node, openssl, platform, arch });
  return `sealift ${version} (Node ${node}, OpenSSL ${openssl}, ${platform} ${arch})`;
}

/** `sealift inspect OBJECT`: what a sealed object says about itself, to anyone. */
import type { Command } from 'commander';
import type { Inspection } from '../index.ts';
import { encryptionText } from '../stores/encryption.ts';
import { formatSize } from '../units.ts';
import { type CustomerKeyFlags, customerKeyOptions, customerKeysOf } from './encryption.ts';
import { openEngine } from './keys.ts';
import {
  type EngineFlags,
  flagsOf,
  maxKeysOption,
  type OpenFlags,
  outputOptions,
  storeOptions,
  versionOption,
} from './options.ts';
import { columns, type Output } from './output.ts';
import { objectAt } from './paths.ts';
import { stopOnSignals } from './signals.ts';

const EXAMPLES = `
Examples:
  $ sealift inspect s3://backups/2026/db.tar
  $ sealift inspect s3://backups/2026/db.tar --json | jq -r '.keys[].key'

No key is needed, and so nothing of this is verified: \`get\` does that.`;

export function addInspect(program: Command, output: Output): void {
  const command = program
    .command('inspect')
    .summary("show an object's format, keys, context and sizes")
    .description('Shows what a sealed object says about itself. Needs no key, verifies nothing.')
    .argument('<object>', 's3://bucket/key, file:///path, a bare path, or - for standard input')
    .addHelpText('after', EXAMPLES)
    .addOption(versionOption())
    .addOption(maxKeysOption());
  for (const add of [storeOptions, customerKeyOptions, outputOptions]) add(command);
  command.action(async (object: string) => {
    const flags = flagsOf<EngineFlags & OpenFlags & CustomerKeyFlags>(command);
    await using engine = await openEngine(flags, 'none');
    const { maxEncryptedDataKeys, versionId } = flags;
    const source = object === '-' ? process.stdin : objectAt(object);
    const { customerKey } = await customerKeysOf(flags);
    const options = { signal: stopOnSignals(output), maxEncryptedDataKeys, versionId, customerKey };
    const inspection = await engine.inspect(source, options);
    output.json({ type: 'result', command: 'inspect', ...inspection });
    output.print(inspectionText(inspection));
  });
}

type Rows = [string, string][];

function inspectionText(object: Inspection): string {
  const rows: Rows = [
    ['object', object.object],
    ...(object.format === 'none' ? unsealedRows(object) : sealRows(object)),
    ...Object.entries(object.metadata).map(([name, value]): [string, string] => ['metadata', `${name}=${value}`]),
  ];
  const optional = {
    'message id': object.format === 'none' ? null : object.messageId,
    ETag: object.etag,
    version: object.versionId,
    CRC32: object.crc32,
    'storage class': object.storageClass,
    'encrypted at rest': object.sse && encryptionText(object.sse),
    'content type': object.contentType,
    written: object.lastModified,
  };
  for (const [name, value] of Object.entries(optional)) if (value !== null) rows.push([name, value]);
  return columns(rows);
}

function unsealedRows({ needs, sealedBytes }: Inspection): Rows {
  return [
    ['format', "none: not sealed by Sealift, nothing is proven beyond S3's checksum"],
    ...needs.map((flag): [string, string] => ['needs', flag]),
    ['size', sizeText(sealedBytes)],
  ];
}

function sealRows(object: Inspection): Rows {
  const { format, messageVersion, suite, commits, signed, keys, encryptionContext, boundToName } = object;
  const { wrapping, instructionFile, description } = object;
  return [
    [
      'format',
      format === 'esdk' ? `esdk message, version ${messageVersion}` : `s3ec object, metadata version ${messageVersion}`,
    ],
    ['suite', suite],
    ['commits to its key', commits ? 'yes' : 'no'],
    ['signed', signed ? 'yes' : 'no'],
    ...object.needs.map((flag): [string, string] => ['needs', flag]),
    ['plain size', object.plainBytes === null ? 'only opening it tells' : sizeText(object.plainBytes)],
    ['sealed size', sizeText(object.sealedBytes)],
    ['frames', object.frameSize === 0 ? 'none: a single block' : `${object.frames} of ${formatSize(object.frameSize)}`],
    ['bound to its name', boundToName ? 'yes' : 'no'],
    ...(wrapping === null
      ? []
      : [
          [
            'wrapping',
            `${wrapping}, the data key is in ${instructionFile ? 'an instruction file' : 'the metadata'}`,
          ] as [string, string],
        ]),
    ...keys.map(({ provider, key }): [string, string] => ['key', `${provider} ${key}`]),
    ...Object.entries(encryptionContext).map(([name, value]): [string, string] => ['context', `${name}=${value}`]),
    ...Object.entries(description).map(([name, value]): [string, string] => ['description', `${name}=${value}`]),
  ];
}

function sizeText(size: number): string {
  return size < 1024 ? `${size} bytes` : `${size} bytes (${formatSize(size)})`;
}

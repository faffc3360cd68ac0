/**
 * Objects that are not sealed (`--seal none`), as a put makes them: the file's bytes as they are, and a mark in the metadata
 * that says so. No keyring is asked for anything. The ledger's rows still need a key, so that the rows of one attempt are
 * not taken for another's: its root is random, and no secret.
 */
import { SealiftError } from '../errors.ts';
import type { PlainMessage } from '../formats/message.ts';
import { planLayout, planPipe } from '../formats/plain/layout.ts';
import { ledgerKeyOf, SEAL_METADATA } from '../formats/plain/mark.ts';
import { DEFAULT_PART_SIZE } from '../formats/s3ec/layout.ts';
import type { AttemptRow } from '../ledger/types.ts';
import { freshRandom } from '../random.ts';
import type { SealOptions } from './attempt.ts';
import type { NewMessage, NewMessageInput, PutFormat, StoredMessage } from './format.ts';
import { Vault } from './vault.ts';

/** What only a seal has, by the names of the flags. */
const OF_A_SEAL = {
  format: '--format',
  s3ecLegacy: '--s3ec-legacy',
  instructionFile: '--instruction-file',
  frameSize: '--frame-size',
  context: '--context',
  sign: '--sign',
} as const satisfies Partial<Record<keyof SealOptions, string>>;

export class PlainPut implements PutFormat {
  readonly keyNeeds = undefined;
  readonly metadataNames: readonly string[] = [];
  readonly firstPartSize: number;
  readonly #partSize: number | undefined;

  /** Throws `bad-option`. */
  constructor(options: SealOptions) {
    refuseSeal(options);
    this.#partSize = options.partSize;
    this.firstPartSize = options.partSize ?? DEFAULT_PART_SIZE;
  }

  cutFile(plainSize: number) {
    return { format: 'plain' as const, layout: planLayout({ plainSize, partSize: this.#partSize }) };
  }

  cutPipe({ expectedSize }: { expectedSize?: number | undefined }) {
    return { format: 'plain' as const, layout: planPipe({ partSize: this.#partSize, expectedSize }) };
  }

  begin({ cut }: NewMessageInput): NewMessage {
    const header = freshRandom(32);
    const message = messageOf(header, cut.layout as PlainMessage['layout']);
    return { message, header, metadata: { [SEAL_METADATA]: 'none' } };
  }

  vaultOf({ keys }: PlainMessage): Vault {
    return new Vault(keys.ledgerKey);
  }
}

function refuseSeal(options: SealOptions): void {
  const names = Object.keys(OF_A_SEAL) as (keyof typeof OF_A_SEAL)[];
  const asked = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (asked === undefined) return;
  throw new SealiftError('bad-option', `${OF_A_SEAL[asked]} says how an object is sealed, and --seal none not to`, {
    hint: 'Leave one of them out. Without --seal none the object is sealed.',
  });
}

function messageOf(root: Uint8Array, layout: PlainMessage['layout']): PlainMessage {
  return { format: 'plain', layout, keys: { ledgerKey: ledgerKeyOf(root) } };
}

export function storedPlain(row: AttemptRow & Pick<PlainMessage, 'format' | 'layout'>): StoredMessage {
  return {
    keyNeeds: undefined,
    messageId: undefined,
    open() {
      const message = messageOf(row.header, row.layout);
      return { message, vault: new Vault(message.keys.ledgerKey) };
    },
  };
}

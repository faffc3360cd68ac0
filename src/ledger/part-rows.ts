/**
 * The rows of the current attempt's parts, written and read under its key: intents and receipts of a put, pieces of a
 * get. There are no others in the tables: a row that belongs elsewhere has a tag that does not fit.
 */
import type { KeyObject } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SealiftError } from '../errors.ts';
import { corrupt } from './database.ts';
import type { JobFiles } from './files.ts';
import { type Row, sameBytes, tagOf } from './row-tags.ts';
import type { Intent, Receipt, WrittenPiece } from './types.ts';

interface Columns {
  number: number;
  sealed_size: number;
  crc32: number;
  tag: Uint8Array;
}
type IntentColumns = Columns & {
  fingerprint: Uint8Array;
  shared_tags: string;
  footer: Uint8Array | null;
  sealed_hash: Uint8Array | null;
};
type ReceiptColumns = Columns & { etag: string };
type PieceColumns = Omit<Columns, 'sealed_size'>;

/** A frame is no larger than a part, give or take the eight bytes of the final one: it lies in three parts at most. */
const SHARING_REACH = 2;

export class PartRows {
  readonly #files: JobFiles;
  readonly #attempt: number;
  readonly #key: KeyObject;
  readonly #insertIntent: StatementSync;
  readonly #selectIntent: StatementSync;
  readonly #selectIntents: StatementSync;
  readonly #selectNeighbours: StatementSync;
  readonly #insertReceipt: StatementSync;
  readonly #selectReceipts: StatementSync;
  readonly #insertPiece: StatementSync;
  readonly #selectPieces: StatementSync;

  /** Empties the tables, in the transaction that begins another attempt. */
  static clear(db: DatabaseSync): void {
    db.exec('DELETE FROM intents; DELETE FROM receipts; DELETE FROM pieces');
  }

  constructor(db: DatabaseSync, files: JobFiles, attempt: number, key: KeyObject) {
    this.#files = files;
    this.#attempt = attempt;
    this.#key = key;
    this.#insertIntent = db.prepare('INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#selectIntent = db.prepare('SELECT * FROM intents WHERE number = ?');
    this.#selectIntents = db.prepare('SELECT * FROM intents ORDER BY number');
    this.#selectNeighbours = db.prepare('SELECT * FROM intents WHERE number BETWEEN ? AND ?');
    this.#insertReceipt = db.prepare('INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)');
    this.#selectReceipts = db.prepare('SELECT * FROM receipts ORDER BY number');
    this.#insertPiece = db.prepare('INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)');
    this.#selectPieces = db.prepare('SELECT * FROM pieces ORDER BY number');
  }

  /**
   * A part has one intent for ever, and a frame in two parts one tag. Throws `source-changed` where it has another;
   * neither is printed.
   */
  addIntent(intent: Intent): void {
    const { number, fingerprint, sealedSize, crc32, footer = null, sealedHash = null } = intent;
    const known = this.#intent(number);
    if (!known) {
      this.#checkSharedTags(intent);
      const shared_tags = JSON.stringify(intent.sharedTags);
      const optional = { footer, sealed_hash: sealedHash };
      const row = this.#intentRow({ number, fingerprint, sealed_size: sealedSize, crc32, shared_tags, ...optional });
      const [, , ...values] = row;
      this.#insertIntent.run(...values, tagOf(this.#key, row));
    } else if (!sameBytes(known.fingerprint, fingerprint) || known.sealedSize !== sealedSize || known.crc32 !== crc32) {
      throw otherThanBefore(number);
    }
  }

  #checkSharedTags({ number, sharedTags }: Intent): void {
    const shared = Object.entries(sharedTags);
    if (shared.length === 0) return;
    const rows = this.#selectNeighbours.all(number - SHARING_REACH, number + SHARING_REACH);
    for (const columns of rows as unknown as IntentColumns[]) {
      const neighbour = this.#checkedIntent(columns);
      for (const [frame, tag] of shared) {
        const known = neighbour.sharedTags[Number(frame)];
        if (known !== undefined && known !== tag) throw otherThanBefore(number);
      }
    }
  }

  /** The newest receipt of a part stands. A receipt without its intent is a bug. */
  addReceipt(receipt: Receipt): void {
    const { number, etag, sealedSize, crc32 } = receipt;
    if (!agree(this.#intent(number), receipt)) {
      throw new SealiftError('internal', `The receipt of part ${number} has no intent that it agrees with`);
    }
    const tag = tagOf(this.#key, this.#receiptRow(receipt));
    this.#insertReceipt.run(number, etag, sealedSize, crc32, tag);
  }

  /** The newest of a piece stands: it may have been written again. */
  addPiece(piece: WrittenPiece): void {
    this.#insertPiece.run(piece.number, piece.crc32, tagOf(this.#key, this.#pieceRow(piece)));
  }

  intents(): Map<number, Intent> {
    const rows = this.#selectIntents.all() as unknown as IntentColumns[];
    return new Map(rows.map((columns) => [columns.number, this.#checkedIntent(columns)]));
  }

  receipts(): Map<number, Receipt> {
    const intents = this.intents();
    const receipts = new Map<number, Receipt>();
    for (const columns of this.#selectReceipts.all() as unknown as ReceiptColumns[]) {
      const { number, etag, sealed_size: sealedSize, crc32, tag } = columns;
      const receipt = { number, etag, sealedSize, crc32 };
      this.#check(this.#receiptRow(receipt), tag);
      if (!agree(intents.get(number), receipt))
        throw corrupt(this.#files, `part ${number} has a receipt but no intent`);
      receipts.set(number, receipt);
    }
    return receipts;
  }

  pieces(): Map<number, WrittenPiece> {
    const pieces = new Map<number, WrittenPiece>();
    for (const { number, crc32, tag } of this.#selectPieces.all() as unknown as PieceColumns[]) {
      this.#check(this.#pieceRow({ number, crc32 }), tag);
      pieces.set(number, { number, crc32 });
    }
    return pieces;
  }

  #intent(number: number): Intent | undefined {
    const columns = this.#selectIntent.get(number) as IntentColumns | undefined;
    return columns && this.#checkedIntent(columns);
  }

  #checkedIntent(columns: IntentColumns): Intent {
    this.#check(this.#intentRow(columns), columns.tag);
    const { number, fingerprint, sealed_size: sealedSize, crc32, footer, sealed_hash: sealedHash } = columns;
    const sharedTags = JSON.parse(columns.shared_tags);
    const optional = { ...(footer ? { footer } : {}), ...(sealedHash ? { sealedHash } : {}) };
    return { number, fingerprint, sealedSize, crc32, sharedTags, ...optional };
  }

  #check(row: Row, tag: Uint8Array): void {
    if (sameBytes(tag, tagOf(this.#key, row))) return;
    throw corrupt(this.#files, `a row of ${row[0]} is not as it was written`);
  }

  /** As the columns stand, JSON and all: what was altered is seen before it is read. */
  #intentRow(columns: Omit<IntentColumns, 'tag'>) {
    const { number, fingerprint, sealed_size, crc32, shared_tags, footer, sealed_hash } = columns;
    const values = [number, fingerprint, sealed_size, crc32, shared_tags, footer, sealed_hash] as const;
    return ['intents', this.#attempt, ...values] as const satisfies Row;
  }

  #receiptRow({ number, etag, sealedSize, crc32 }: Receipt): Row {
    return ['receipts', this.#attempt, number, etag, sealedSize, crc32];
  }

  #pieceRow({ number, crc32 }: WrittenPiece): Row {
    return ['pieces', this.#attempt, number, crc32];
  }
}

function otherThanBefore(number: number): SealiftError {
  return new SealiftError('source-changed', `Part ${number} is not what was promised before`, {
    hint: 'The source has changed since. Start again with --fresh.',
  });
}

function agree(intent: Intent | undefined, receipt: Receipt): boolean {
  return intent?.sealedSize === receipt.sealedSize && intent.crc32 === receipt.crc32;
}

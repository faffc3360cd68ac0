/** Every writer's messages, read by every reader; and the table of it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cell, Job, KeyringRow, Peer } from './cells.ts';

export interface Outcome {
  writer: string;
  /** Undefined where the message could not be written. */
  reader: string | undefined;
  cell: Cell;
  /** Undefined where all went well. */
  error: string | undefined;
}

export interface Matrix {
  writers: readonly Peer[];
  readers: readonly Peer[];
  cells: readonly Cell[];
  /** For plain and sealed files. */
  folder: string;
  /** Does something to a message before it is read. */
  tamper?: (cell: Cell, sealed: string) => void;
  onBatch?: (about: string) => void;
}

const CONTEXT = { purpose: 'interop', é: 'ü' };

/** Writer by writer and keyring by keyring, so that peers are asked in batches and few files lie about at a time. */
export async function runMatrix(matrix: Matrix): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const keyrings = new Set(matrix.cells.map(({ keyring }) => keyring));
  for (const writer of matrix.writers) {
    for (const keyring of keyrings) {
      const cells = matrix.cells.filter((cell) => cell.keyring === keyring && writer.writes(cell));
      if (cells.length > 0) outcomes.push(...(await runBatch(matrix, { writer, keyring, cells })));
    }
  }
  return outcomes;
}

interface Batch {
  writer: Peer;
  keyring: KeyringRow;
  cells: Cell[];
}

async function runBatch(matrix: Matrix, { writer, keyring, cells }: Batch): Promise<Outcome[]> {
  const { folder, tamper, onBatch = () => {} } = matrix;
  const messages = join(folder, 'messages');
  mkdirSync(messages, { recursive: true });
  const outcomes: Outcome[] = [];
  try {
    onBatch(`${writer.name} writes ${cells.length} under ${keyring.name}`);
    const jobs = cells.map((cell, index) => jobOf(cell, folder, join(messages, String(index))));
    const written = await writer.run(jobs.map((job) => ({ ...job, do: 'write', keyring: keyring.writes })));
    for (const [index, { error }] of written.entries()) {
      if (error !== null) outcomes.push({ writer: writer.name, reader: undefined, cell: cells[index]!, error });
      else tamper?.(cells[index]!, jobs[index]!.sealed);
    }
    for (const reader of matrix.readers) {
      const wanted = [...cells.keys()].filter((index) => !written[index]!.error && reader.reads(cells[index]!));
      if (wanted.length === 0) continue;
      onBatch(`  ${reader.name} reads ${wanted.length}`);
      const answers = await reader.run(
        wanted.map((index) => ({ ...jobs[index]!, do: 'read', keyring: keyring.reads })),
      );
      for (const [at, answer] of answers.entries()) {
        const cell = cells[wanted[at]!]!;
        const same = answer.sha256 === sha256Of(jobs[wanted[at]!]!.plain);
        const error = answer.error ?? (same ? undefined : 'other bytes');
        outcomes.push({ writer: writer.name, reader: reader.name, cell, error });
      }
    }
  } finally {
    rmSync(messages, { recursive: true });
  }
  return outcomes;
}

function jobOf({ suite, keyring, frameSize, length }: Cell, folder: string, sealed: string): Job {
  const plain = plainFile(folder, length);
  return { do: 'write', suite, keyring: keyring.writes, frameSize, context: CONTEXT, plain, sealed };
}

const hashes = new Map<string, string>();

/** A file of so many random bytes, made once. */
function plainFile(folder: string, length: number): string {
  const path = join(folder, `plain-${length}`);
  if (!hashes.has(path)) {
    writeFileSync(path, randomBytes(length));
    hashes.set(path, createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return path;
}

function sha256Of(plain: string): string {
  return hashes.get(plain)!;
}

export function isRed({ error }: Outcome): boolean {
  return error !== undefined;
}

/** A row for each writer, keyring and suite: how many messages each reader opened, of how many. */
export function tableOf(outcomes: readonly Outcome[], readers: readonly string[]): string {
  const rows = Map.groupBy(outcomes, ({ writer, cell }) => [writer, cell.keyring.name, suiteName(cell)].join('\t'));
  const lines = [...rows].map(([row, messages]) => {
    const columns = readers.map((reader) => {
      const seen = messages.filter((message) => message.reader === reader || message.reader === undefined);
      const red = seen.filter(isRed).length;
      if (seen.length === 0) return '-';
      return red === 0 ? `${seen.length}` : `${seen.length - red} of ${seen.length} !`;
    });
    return [...row.split('\t'), ...columns];
  });
  const table = [['writer', 'keyring', 'suite', ...readers], ...lines];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A line for each message that was not written, not opened, or opened to other bytes. */
export function redLines(outcomes: readonly Outcome[]): string[] {
  return outcomes.filter(isRed).map(({ writer, reader, cell, error }) => {
    const { keyring, frameSize, length } = cell;
    const message = `${length} bytes in frames of ${frameSize}, suite ${suiteName(cell)}, under ${keyring.name}`;
    return `${writer} to ${reader ?? 'nobody: not written'}: ${message}: ${error}`;
  });
}

function suiteName({ suite }: Cell): string {
  return `0x${suite.toString(16).padStart(4, '0')}`;
}

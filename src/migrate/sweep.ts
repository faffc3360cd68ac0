/**
 * Sources deleted, where that was asked for: when all are through, and each only after its object has been fetched,
 * opened and authenticated from the first byte to the last, is the very one that was written, and the source is the very
 * one that was sealed. What cannot be shown to be so is kept and told.
 */
import { unlink } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import type { FoundObject } from '../get/object.ts';
import type { Place } from '../job.ts';
import type { ObjectRow } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { runLanes } from '../parts/lanes.ts';
import { lookAtSource } from '../parts/source.ts';
import { factsOf } from '../put/source.ts';
import { verify } from '../verify.ts';
import { sameAs } from './carry.ts';
import { countCalls } from './large.ts';
import { pathOf } from './message.ts';
import { placeOf } from './object.ts';
import { failsAll } from './pause.ts';
import { checkSame } from './proof.ts';

/** Each holds what a verify does; the tickets say how much that may be. */
const AT_ONCE_COUNT = 4;

/** Resolves once every source of what is done was deleted or told to be kept, or the job is paused. */
export async function sweepSources(run: MigrateRun): Promise<void> {
  const { ledger, pause, progress } = run;
  const kept = new Map<string, { count: number; first: string }>();
  await runLanes({
    items: ledger.inState('done'),
    lanes: { count: AT_ONCE_COUNT },
    stop: pause.signal,
    work: async (object) => {
      if (object.target?.isSourceDeleted) return;
      try {
        await sweep(run, object);
        await ledger.write([{ ...object, target: { ...object.target!, isSourceDeleted: true } }]);
      } catch (thrown) {
        if (pause.signal.aborted) return;
        const error = SealiftError.from(thrown);
        // The job waits: once it were over, nothing would ever delete what it has moved.
        if (failsAll(error)) throw error;
        const { code, message } = error;
        const before = kept.get(code) ?? { count: 0, first: `${object.name}: ${message}` };
        kept.set(code, { ...before, count: before.count + 1 });
      }
    },
  });
  for (const [code, { count, first }] of kept) {
    progress.warn(`${count} of what was moved was not deleted at its source (${code}), for example ${first}`);
  }
}

async function sweep(run: MigrateRun, object: ObjectRow): Promise<void> {
  const { source, target, tools, request, pause } = run;
  const { url } = await target.place(object.name);
  const expects = (found: FoundObject) => {
    checkSame(url, object, found);
    checkMadeOf(url, object, found);
  };
  const seal = object.target?.format === 'plain' ? 'none' : undefined;
  const { customerKey } = request;
  countCalls(run, await verify({ source: url, seal, customerKey, signal: pause.signal, expects }, tools));
  if ('directory' in source.reads) await deleteFile(pathOf(run, object), object);
  else await deleteObject(await placeOf(run, object), object);
}

/** The row alone is not believed: the object itself has to name the source as it is now. Throws `source-changed`. */
function checkMadeOf(url: string, { size, source: { mtimeNs, etag } }: ObjectRow, { info }: FoundObject): void {
  const facts = Object.entries(mtimeNs === undefined ? sameAs(etag) : factsOf({ size, mtimeNs }));
  if (facts.length > 0 && facts.every(([name, value]) => info.metadata[name] === value)) return;
  throw new SealiftError('source-changed', `${url} was not made of the source as it is now`);
}

/** By a fresh look. One that is gone was deleted before a crash. */
async function deleteFile(path: string, { size, source }: ObjectRow): Promise<void> {
  try {
    const now = await lookAtSource(path);
    if (now.size !== size || now.mtimeNs !== source.mtimeNs || now.inode !== source.inode) {
      throw new SealiftError('source-changed', `${path} is not the file any more that was sealed`);
    }
    await unlink(path);
  } catch (thrown) {
    const { code, message } = thrown as SealiftError;
    if (code === 'source-not-found') return;
    if (thrown instanceof SealiftError) throw thrown;
    throw new SealiftError('source-unreadable', `${path} cannot be deleted: ${message}`, { cause: thrown });
  }
}

async function deleteObject({ store, key, url }: Place, { source: { etag, versionId } }: ObjectRow): Promise<void> {
  if (!store.copies || etag === undefined)
    throw new SealiftError('store-error', `${url} cannot be deleted by what it is`);
  await store.copies.deleteVersion(key, { etag, versionId });
}

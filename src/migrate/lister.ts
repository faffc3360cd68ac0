/** Fills the queue: what of the source is not listed yet is listed into the ledger, page by page. */
import { SealiftError } from '../errors.ts';
import type { NewObject } from '../ledger/types.ts';
import type { MigrateRun } from '../migrate.ts';
import { goesWhole } from '../put/attempt.ts';
import type { SourceObject } from './source.ts';

type Listing = Pick<MigrateRun, 'filter' | 'ledger' | 'pause' | 'queue' | 'source' | 'outcomes' | 'format' | 'tools'>;

/** Resolves once all is listed, or the job is paused. */
export async function listSource(run: Listing): Promise<void> {
  const { ledger, pause, queue } = run;
  for (let next = ledger.nextSection(); next && !pause.signal.aborted; next = ledger.nextSection()) {
    try {
      await listSection(run, next.section, next.cursor);
    } catch (error) {
      if (pause.signal.aborted) return;
      refuseSection(run, next.section, SealiftError.from(error));
    }
  }
  if (!pause.signal.aborted) queue.endListing();
}

async function listSection(run: Listing, section: string, cursor: string | undefined): Promise<void> {
  const { source, filter, pause } = run;
  for await (const page of source.pages(section, cursor, { filter, signal: pause.signal })) {
    const objects = page.objects.map((object) => asRow(run, object));
    addPage(run, { section, objects, sections: page.sections ?? [], cursor: page.cursor });
    if (pause.signal.aborted) return;
  }
  run.ledger.endSection(section);
}

/** A folder that cannot be read is told as an object that failed, and the rest is moved; of the first nothing is left to move. */
function refuseSection(run: Listing, section: string, error: SealiftError): void {
  const { source, ledger } = run;
  if (section === source.firstSection || error.code !== 'source-unreadable') throw error;
  const { code, message } = error;
  const refused = {
    name: section,
    size: 0,
    isLarge: false,
    source: { isSection: true as const },
    refusal: { code, message },
  };
  addPage(run, { section, objects: [refused], sections: [], cursor: undefined });
  ledger.endSection(section);
}

function addPage({ ledger, outcomes, queue }: Listing, page: Parameters<typeof ledger.addPage>[0]): void {
  outcomes.listed(ledger.addPage(page));
  queue.tell();
}

/** What can never be an object, as too large a file, has failed before it is moved. */
export function asRow({ format, tools }: Pick<Listing, 'format' | 'tools'>, object: SourceObject): NewObject {
  const { name, size, mtimeNs, inode, etag, versionId, refusal } = object;
  const source = { mtimeNs, inode, etag, versionId };
  if (refusal) return { name, size, isLarge: false, source, refusal };
  try {
    return { name, size, isLarge: !goesWhole(format.cutFile(size), tools, undefined), source };
  } catch (error) {
    const { code, message } = SealiftError.from(error);
    return { name, size, isLarge: false, source, refusal: { code, message } };
  }
}

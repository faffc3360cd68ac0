/**
 * What a migration would do with each object, told as it is listed. Looked at is what the migration looks at before it
 * sends anything: the listing, and where something is at the target already, what stands there under each name. Nothing
 * is written, no key is asked for, and nothing is held but a page of each folder that is open.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDenied, SealiftError } from '../errors.ts';
import type { Place, Tools } from '../job.ts';
import type { MigrateOptions } from '../migrate.ts';
import { isFileOf } from '../mtime.ts';
import { filePartsOf } from '../parts/file-names.ts';
import { fileExists } from '../parts/restored-file.ts';
import { settledBy } from '../parts/send-objects.ts';
import { targetExists } from '../parts/written.ts';
import { formatFor } from '../put/format.ts';
import { lookAtTarget } from '../put/look.ts';
import { factsOf } from '../put/source.ts';
import { unlessMissing } from '../stores/directory-files.ts';
import type { ObjectInfo } from '../stores/store.ts';
import { sameAs } from './carry.ts';
import { type Ends, openEnds } from './ends.ts';
import { Filter } from './filter.ts';
import { RestoreFolder } from './folder.ts';
import { asRow } from './lister.ts';
import { placeOf } from './object.ts';
import { failsAll } from './pause.ts';
import type { SourceObject, SourcePage } from './source.ts';
import { leftOutText, stateFolderIn } from './state-folder.ts';
import type { Target } from './target.ts';

/** What would become of an object. */
export interface Decision {
  /** Relative, as it stands behind SOURCE and DEST. Of a folder that is left out or unreadable, with a slash at its end. */
  name: string;
  /** As it was listed: plain bytes of a file, bytes of an object as it is stored. */
  size: number;
  would: 'seal' | 'restore' | 'replace' | 'skip' | 'refuse';
  /** Why it would be refused. */
  code?: string | undefined;
  /** Why it would be skipped or refused. */
  message?: string | undefined;
}

interface Preview extends Ends {
  request: MigrateOptions;
  tools: Tools;
  filter: Filter;
  format: ReturnType<typeof formatFor>;
  /** Something is at the target. */
  looksFirst: boolean;
}

/** Objects looked at together, each by a request. */
const LOOK_COUNT = 16;
const SAME: Pick<Decision, 'would' | 'message'> = { would: 'skip', message: 'the same is there' };

/** In the order of the listing. Throws as a migration would before it begins, and what would fail every object. */
export async function* preview(request: MigrateOptions, tools: Tools): AsyncGenerator<Decision, void> {
  const ends = await openEnds(request, tools);
  const leftOut = stateFolderIn(ends.source, tools);
  const filter = new Filter(request.filter, Date.now(), leftOut);
  const looksFirst = ends.target instanceof RestoreFolder || !(await ends.target.isEmpty());
  if (leftOut !== undefined && new Filter(request.filter).enters(leftOut)) {
    yield { name: leftOut, size: 0, would: 'skip', message: leftOutText(leftOut) };
  }
  yield* decideIn(
    { ...ends, request, tools, filter, format: formatFor(request), looksFirst },
    ends.source.firstSection,
  );
}

async function* decideIn(run: Preview, section: string): AsyncGenerator<Decision, void> {
  const { source, filter, request } = run;
  try {
    for await (const page of source.pages(section, undefined, { filter, signal: request.signal })) {
      yield* decidePage(run, page);
    }
  } catch (thrown) {
    const error = SealiftError.from(thrown);
    if (section === source.firstSection || error.code !== 'source-unreadable') throw error;
    yield { name: section, size: 0, ...refused(error) };
  }
}

async function* decidePage(run: Preview, { objects, sections = [] }: SourcePage): AsyncGenerator<Decision, void> {
  for (let start = 0; start < objects.length; start += LOOK_COUNT) {
    yield* await Promise.all(objects.slice(start, start + LOOK_COUNT).map((object) => decide(run, object)));
  }
  for (const section of sections) yield* decideIn(run, section);
}

async function decide(run: Preview, object: SourceObject): Promise<Decision> {
  const { name, size } = object;
  const { refusal } = asRow(run, object);
  if (refusal) return { name, size, would: 'refuse', ...refusal };
  try {
    const { target } = run;
    const fate = target instanceof RestoreFolder ? restoring(run, target, object) : sealing(run, target, object);
    return { name, size, ...(await fate) };
  } catch (thrown) {
    const error = SealiftError.from(thrown);
    if (error.code === 'interrupted' || failsAll(error)) throw error;
    return { name, size, ...refused(error) };
  }
}

type Fate = Omit<Decision, 'name' | 'size'>;

function refused({ code, message }: SealiftError): Fate {
  return { would: 'refuse', code, message };
}

async function sealing(run: Preview, target: Target, object: SourceObject): Promise<Fate> {
  const { request, looksFirst } = run;
  const place = await target.find(object.name);
  const there = looksFirst ? await lookAt(place, request) : undefined;
  if (!there) return { would: 'seal' };
  const { size, mtimeNs, etag } = object;
  const facts = mtimeNs === undefined ? sameAs(etag) : factsOf({ size, mtimeNs });
  if (settledBy(there, { earlierIds: [], sameAs: facts })) return SAME;
  if (request.overwrite) return { would: 'replace' };
  throw targetExists(place.url);
}

/**
 * Who may write and not look finds out by writing, unless something is to be replaced. A folder of a directory is made when
 * the first file goes into it.
 */
async function lookAt(place: Place, { overwrite, signal }: MigrateOptions): Promise<ObjectInfo | undefined> {
  try {
    return await lookAtTarget(place, { signal });
  } catch (error) {
    const isFolderMissing = 'directory' in place.settings && SealiftError.from(error).code === 'bucket-not-found';
    if (!isFolderMissing && (overwrite || !isDenied(error))) throw error;
    return undefined;
  }
}

async function restoring(run: Preview, folder: RestoreFolder, { name, versionId }: SourceObject): Promise<Fate> {
  const { overwrite, signal } = run.request;
  const path = join(folder.url, ...filePartsOf(name));
  const there = await unlessMissing(lstat(path, { bigint: true }));
  if (!there) return { would: 'restore' };
  const { store, key } = await placeOf(run, { name });
  const info = there.isFile() ? await store.head(key, { versionId, signal }) : undefined;
  if (info && isFileOf(there, info)) return SAME;
  if (overwrite && !there.isDirectory()) return { would: 'replace' };
  throw fileExists(path);
}

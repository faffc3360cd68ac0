/** A list as pages: rows that come one by one are looked at several at a time, and told together. */
import { SealiftError } from '../../errors.ts';
import type { Filter } from '../filter.ts';
import type { ListingMeans, SourceObject, SourcePage } from '../source.ts';

/** Rows of a page. */
export const PAGE_COUNT = 500;
/** Rows looked at together, where that takes a request. */
const LOOK_COUNT = 16;

/** A row of a list, and where the list goes on behind it. */
export type Listed<Row> = Row & { cursor: string };

/** `look` resolves to undefined for what is not wanted, or gone. */
export async function* pagesOf<Row>(
  rows: AsyncIterable<Listed<Row>>,
  look: (row: Row) => SourceObject | undefined | Promise<SourceObject | undefined>,
  { url, filter, signal }: ListingMeans & { url: string },
): AsyncGenerator<SourcePage, void> {
  for await (const page of groupsOf(rows, PAGE_COUNT)) {
    const objects: (SourceObject | undefined)[] = [];
    for (let start = 0; start < page.length; start += LOOK_COUNT) {
      if (signal?.aborted) throw SealiftError.interrupted(signal, `List ${url}`);
      objects.push(...(await Promise.all(page.slice(start, start + LOOK_COUNT).map(look))));
    }
    yield { objects: wanted(objects, filter), cursor: page.at(-1)!.cursor };
  }
}

export async function* groupsOf<Row>(rows: AsyncIterable<Row>, count: number): AsyncGenerator<Row[], void> {
  let group: Row[] = [];
  for await (const row of rows) {
    group.push(row);
    if (group.length < count) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Those that are there and that the filter takes. */
export function wanted(objects: readonly (SourceObject | undefined)[], filter: Filter): SourceObject[] {
  return objects.filter((object) => object !== undefined && filter.takes(object)) as SourceObject[];
}

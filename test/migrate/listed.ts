/** What a source lists, and how: all its sections, page by page, as a ledger would keep them. */
import { Filter, type FilterRequest } from '../../src/migrate/filter.ts';
import type { MigrateSource, SourceObject, SourcePage } from '../../src/migrate/source.ts';

/** What nothing is left out by. */
export const all = new Filter();

export function filterOf(request: FilterRequest): Filter {
  return new Filter(request);
}

export interface Listing {
  objects: SourceObject[];
  /** In the order they were listed. */
  sections: string[];
  pages: SourcePage[];
}

/** Names that were listed before are ignored, as the ledger does. */
export async function listed(source: MigrateSource, filter = all): Promise<Listing> {
  const sections = [source.firstSection];
  const pages: SourcePage[] = [];
  const objects = new Map<string, SourceObject>();
  for (const section of sections) {
    for await (const page of source.pages(section, undefined, { filter })) {
      pages.push(page);
      sections.push(...(page.sections ?? []));
      for (const object of page.objects) if (!objects.has(object.name)) objects.set(object.name, object);
    }
  }
  return { objects: [...objects.values()], sections, pages };
}

/** Names in their order, without those that are refused. */
export async function namesOf(source: MigrateSource, filter = all): Promise<string[]> {
  const { objects } = await listed(source, filter);
  return objects.flatMap(({ name, refusal }) => (refusal ? [] : [name])).sort();
}

/** Code and message of what is refused, by name. */
export async function refusalsOf(source: MigrateSource, filter = all): Promise<Record<string, string>> {
  const { objects } = await listed(source, filter);
  const refused = objects.flatMap(({ name, refusal }) => (refusal ? [[name, refusal.code]] : []));
  return Object.fromEntries(refused.sort());
}

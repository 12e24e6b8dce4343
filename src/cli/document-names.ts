import { isAbsolute, relative, resolve, sep } from "node:path";
import type { FilterOptions } from "../engine/filter-options.ts";
import type { Strata } from "../engine/strata.ts";
import { oneLine } from "./terminal-text.ts";

/** A document's name as a person at `cwd` says it: a path below it is told from there. */
export function shownDocument(uri: string, cwd: string): string {
  if (!isAbsolute(uri)) return oneLine(uri);
  const path = relative(cwd, uri);
  const below = path !== "" && path !== ".." && !path.startsWith(`..${sep}`) && !isAbsolute(path);
  return oneLine(below ? path : uri);
}

/** The filter with the document it names as the memory knows it: by this name, else as the path it is from `cwd`. */
export async function withDocumentUri(
  filter: FilterOptions,
  memory: Strata,
  cwd: string,
): Promise<FilterOptions> {
  const { document } = filter;
  if (document === undefined || document === "" || (await memory.document(document))) return filter;
  return { ...filter, document: resolve(cwd, document) };
}

import type { OrphanCounts, OrphanKind, StoreCall } from "../../contract/memory-store.ts";
import type { StoreContext } from "./write-step.ts";

/** Rows looked at in one step. */
const sliceSize = 1_000;

/** Rows of a table that nothing owns any more: nobody sees them, and no sweep takes them. */
interface OrphanCheck {
  readonly kind: OrphanKind;
  readonly table: string;
  /** Integer that names a row, or, of a table without, the three columns that do. */
  readonly key: string;
  /** True of a row `t` without its owner. */
  readonly orphaned: string;
}

const checks: readonly OrphanCheck[] = [
  {
    kind: "memoriesWithoutEntry",
    table: "memory",
    key: "row",
    // A chunk that is staged or retired has a revision, and is swept with it.
    orphaned: `not exists (select 1 from entry e where e.id = t.entry)
      and (t.chunk is null or not exists (select 1 from revision r where r.id = t.entry))`,
  },
  {
    kind: "entriesWithoutMemory",
    table: "entry",
    key: "id",
    orphaned: `case t.document when 1 then not exists (select 1 from document d where d.entry = t.id)
      else not exists (select 1 from memory m where m.row = t.id) end`,
  },
  {
    kind: "documentsWithoutEntry",
    table: "document",
    key: "entry",
    orphaned: "not exists (select 1 from entry e where e.id = t.entry)",
  },
  {
    kind: "vectorsWithoutMemory",
    table: "vector",
    key: "row",
    orphaned: "not exists (select 1 from memory m where m.row = t.row)",
  },
  {
    kind: "vectorsWithoutMemory",
    table: "side_vector",
    key: "number",
    orphaned: "not exists (select 1 from memory m where m.row = t.row)",
  },
  {
    kind: "tagsWithoutEntry",
    table: "tag",
    key: "namespace, tag, entry",
    orphaned: "not exists (select 1 from entry e where e.id = t.entry)",
  },
];

/** Counts what nothing owns, in all namespaces, and unless it is a dry run removes it; a slice of each table at a time. */
export async function findOrphans(
  context: StoreContext,
  options: { readonly dryRun: boolean },
  call?: StoreCall,
): Promise<OrphanCounts> {
  const counts: Record<OrphanKind, number> = {
    memoriesWithoutEntry: 0,
    entriesWithoutMemory: 0,
    documentsWithoutEntry: 0,
    vectorsWithoutMemory: 0,
    tagsWithoutEntry: 0,
  };
  for (const check of checks) {
    for (let after: readonly (number | string)[] | undefined, more = true; more; more = after !== undefined) {
      const slice = await context.connection.read(() => readSlice(context, check, after), call);
      const orphans = slice.filter((row) => row.at(-1) === 1).map((row) => row.slice(0, -1));
      counts[check.kind] += orphans.length;
      if (orphans.length > 0 && !options.dryRun) {
        await context.connection.write(() => removeOrphans(context, check, orphans), call);
      }
      after = slice.length < sliceSize ? undefined : slice.at(-1)!.slice(0, -1);
    }
  }
  return counts;
}

type OrphanRow = (number | string)[];

function readSlice(
  { connection }: StoreContext,
  { table, key, orphaned }: OrphanCheck,
  after: readonly (number | string)[] | undefined,
): OrphanRow[] {
  const marks = key
    .split(", ")
    .map(() => "?")
    .join(", ");
  const beyond = after === undefined ? "" : `where (${key}) > (${marks})`;
  return connection.all<OrphanRow>(
    `select ${key}, ${orphaned} from ${table} t ${beyond} order by ${key} limit ${sliceSize}`,
    ...(after ?? []),
  );
}

function removeOrphans(
  { connection }: StoreContext,
  { table, key, orphaned }: OrphanCheck,
  rows: readonly OrphanRow[],
): void {
  const marks = key
    .split(", ")
    .map(() => "?")
    .join(", ");
  // What got its owner since it was read stays.
  for (const row of rows)
    connection.run(`delete from ${table} as t where (${key}) = (${marks}) and ${orphaned}`, ...row);
}

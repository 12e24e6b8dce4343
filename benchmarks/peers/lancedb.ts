import { createRequire } from "node:module";
import { join } from "node:path";
import { latencies, timed } from "../latencies.ts";
import type { PlainCosine } from "../plain-cosine.ts";

/** The part of LanceDB that is used; it is no dependency of the project, and so brings no types. */
interface LanceDb {
  connect(folder: string): Promise<{ createTable(name: string, rows: readonly Row[]): Promise<LanceTable> }>;
}
interface LanceTable {
  add(rows: readonly Row[]): Promise<unknown>;
  createIndex(column: string): Promise<void>;
  search(query: readonly number[]): LanceQuery;
}
interface LanceQuery {
  select(columns: readonly string[]): LanceQuery;
  limit(rows: number): LanceQuery;
  toArray(): Promise<readonly { readonly id: number }[]>;
}
interface Row {
  readonly id: number;
  readonly vector: readonly number[];
}

const batchSize = 10_000;
/** Vectors from which on its users are told to make an index. */
const leastIndexed = 50_000;
const singleAdds = 20;
const limit = 10;

/**
 * LanceDB at its defaults over the same vectors: the ten nearest by its scan and, where there are many, by the index it
 * makes when told nothing else. Vectors alone: no words, no ranking, no texts.
 * @returns undefined when it is not installed (`npm install --prefix benchmarks/peers`).
 */
export async function measureLanceDb(
  folder: string,
  vectors: PlainCosine,
  questions: readonly Float32Array[],
): Promise<object | undefined> {
  // What it says on standard error of its own future interface.
  process.env["RUST_LOG"] ??= "error";
  const lance = load();
  if (!lance) return undefined;
  const database = await lance.connect(join(folder, "lance"));
  const rows = (from: number): Row[] =>
    Array.from({ length: Math.min(batchSize, vectors.count - from) }, (_, i) => ({
      id: from + i,
      vector: [...vectors.at(from + i)],
    }));
  const table = await database.createTable("memories", rows(0));
  for (let from = batchSize; from < vectors.count; from += batchSize) await table.add(rows(from));
  const exact = questions.map((question) => vectors.search(question, limit));
  const ask = async () => {
    const ms: number[] = [];
    let found = 0;
    let wanted = 0;
    for (const [at, question] of questions.entries()) {
      const query = [...question];
      let ids = new Set<number>();
      ms.push(
        await timed(async () => {
          const near = await table.search(query).select(["id", "_distance"]).limit(limit).toArray();
          ids = new Set(near.map(({ id }) => id));
        }),
      );
      // Of equal cosines any will do.
      const least = vectors.cosine(question, exact[at]!.at(-1)!) - 1e-6;
      for (const id of ids) if (id < vectors.count && vectors.cosine(question, id) >= least) found++;
      wanted += exact[at]!.length;
    }
    const { p50Ms, p95Ms } = latencies(ms);
    return { p50Ms, p95Ms, recallAt10: found / wanted };
  };
  const scan = await ask();
  const indexes = vectors.count >= leastIndexed;
  const indexMs = indexes ? await timed(() => table.createIndex("vector")) : undefined;
  const indexed = indexes ? await ask() : undefined;
  const adds: number[] = [];
  for (let i = 0; i < singleAdds; i++) {
    const row = { id: vectors.count + i, vector: [...vectors.at(i)] };
    adds.push(await timed(() => table.add([row])));
  }
  return {
    scanP50Ms: scan.p50Ms,
    scanP95Ms: scan.p95Ms,
    ...(indexed && {
      indexMs,
      indexedP50Ms: indexed.p50Ms,
      indexedP95Ms: indexed.p95Ms,
      indexedRecallAt10: indexed.recallAt10,
    }),
    addP50Ms: latencies(adds).p50Ms,
  };
}

function load(): LanceDb | undefined {
  try {
    return createRequire(import.meta.url)("@lancedb/lancedb") as LanceDb;
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

import assert from "node:assert/strict";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore, PublishResult } from "../contract/memory-store.ts";
import type { MemoryFilter } from "../contract/scope.ts";
import { type TierTable, tiers } from "../contract/tier.ts";
import type { ManualClock } from "./manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "./store-samples.ts";

/** What the parts of a contract suite work with; everything is made anew for each test. */
export interface ContractBench {
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  /** Partitions a namespace has. */
  readonly partitions: number;
  /** Opens another empty store in the place of this one. */
  reopen(options: { readonly tiers?: Partial<TierTable>; readonly decayRate?: number }): Promise<void>;
}

export const scope = { namespace: "contract" };
export const other = { namespace: "other" };
/** One thread keeps all of a test's entries in one partition. */
export const thread = "one";
/** What short_term and semantic hold, a partition. */
export const capacity = 4;
export const hourMs = 3_600_000;
export const dayMs: number = 24 * hourMs;

export function add(
  { store }: ContractBench,
  id: string,
  fields: Parameters<typeof sampleEntry>[1] = {},
): ReturnType<MemoryStore["add"]> {
  return store.add(scope, [sampleEntry(id, fields)]);
}

export async function publish(
  { store }: ContractBench,
  uri: string,
  texts: readonly string[],
  fields: Parameters<typeof sampleDocument>[1] = {},
  prefix: string = uri,
): Promise<PublishResult> {
  const staged = await store.stageDocument(scope, sampleDocument(uri, fields));
  await store.addChunks(staged, sampleChunks(prefix, texts));
  return store.publishDocument(staged);
}

/** Ids of the visible memories that match, sorted. */
export async function idsIn({ store }: ContractBench, filter: MemoryFilter = {}): Promise<string[]> {
  const rows = await store.matchingRows(scope, filter);
  const memories = await store.read(scope, [...rows]);
  return memories.map((memory) => memory!.id).sort();
}

/** The three above over whatever bench stands at the time of the call. */
export function boundTo(bench: () => ContractBench): {
  add(id: string, fields?: Parameters<typeof sampleEntry>[1]): ReturnType<MemoryStore["add"]>;
  publish(
    uri: string,
    texts: readonly string[],
    fields?: Parameters<typeof sampleDocument>[1],
    prefix?: string,
  ): Promise<PublishResult>;
  ids(filter?: MemoryFilter): Promise<string[]>;
} {
  return {
    add: (id, fields) => add(bench(), id, fields),
    publish: (uri, texts, fields, prefix) => publish(bench(), uri, texts, fields, prefix),
    ids: (filter) => idsIn(bench(), filter),
  };
}

/** All that a caller can see of a namespace, but for its history. */
export async function stateOf(store: MemoryStore): Promise<unknown> {
  const { memories } = await store.list(scope, {}, { limit: 10_000 });
  const { documents } = await store.documents(scope, { limit: 10_000 });
  const { journalRows: _rows, bytesOnDisk: _bytes, evicted: _evicted, ...stats } = await store.stats(scope);
  const index = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await store.changes(scope, cursor, 100);
    index.push(...page.rows);
    ({ cursor, more } = page);
  }
  index.sort((one, two) => one.row - two.row);
  return { memories, documents, stats, index };
}

export async function rejects(promise: Promise<unknown>, code: StrataError["code"]): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(StrataError.isInstance(error), `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}

/** Asserts that a namespace holds nothing visible. */
export function assertEmpty(stats: Awaited<ReturnType<MemoryStore["stats"]>>): void {
  for (const tier of tiers) {
    const { entries, memories, documents, pinned, bytes } = stats.tiers[tier];
    assert.deepEqual([entries, memories, documents, pinned, bytes], [0, 0, 0, 0, 0], tier);
  }
  assert.deepEqual([stats.memories, stats.documents, stats.withoutVector, stats.models], [0, 0, 0, {}]);
}

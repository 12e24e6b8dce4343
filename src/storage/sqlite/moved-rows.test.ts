import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { StoreAction } from "../../contract/consolidation.ts";
import { sampleEntry } from "../../testing/store-samples.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-moves-"));
after(() => rmSync(folder, { recursive: true }));
const scope = { namespace: "n" };

function promotion(id: string): StoreAction {
  const move = { kind: "promote", from: "long_term", to: "semantic", reason: "used often" } as const;
  return { ...move, id, document: false, version: undefined };
}

test("a move that left the journal before it was told is no secret", async () => {
  const store = await openSqliteStore(join(folder, "short.db"), {
    journalMaxRows: 1,
  });
  await store.add(
    scope,
    ["a", "b", "c"].map((id) => sampleEntry(id)),
  );
  const first = await store.changes(scope, undefined, 10);
  await store.apply(scope, "one", [promotion("a")]);
  const told = await store.changes(scope, first.cursor, 10);
  assert.deepEqual(
    told.moved?.map(({ tier }) => tier),
    ["semantic"],
  );
  for (const id of ["b", "c"]) await store.apply(scope, id, [promotion(id)]);
  assert.equal((await store.changes(scope, told.cursor, 10)).moved, undefined);
  await store.close();
});

test("moves of other namespaces are not told, and more than a page holds are told by the next", async () => {
  const store = await openSqliteStore(join(folder, "many.db"));
  const ids = Array.from({ length: 5_000 }, (_, at) => `m${at}`);
  const elsewhere = { namespace: "elsewhere" };
  await store.add(elsewhere, [sampleEntry("a")]);
  await store.add(
    scope,
    ids.map((id) => sampleEntry(id)),
  );
  let cursor: string | undefined;
  for (let more = true; more; ) ({ cursor, more } = await store.changes(scope, cursor, 2_000));
  await store.apply(elsewhere, "one", [promotion("a")]);
  await store.apply(scope, "two", ids.map(promotion));
  const moved = new Set<number>();
  for (let more = true; more; ) {
    const page = await store.changes(scope, cursor, 10);
    for (const { row, tier } of page.moved!) if (tier === "semantic") moved.add(row);
    ({ cursor, more } = page);
  }
  assert.equal(moved.size, ids.length);
  await store.close();
});

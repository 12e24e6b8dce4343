import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { createManualClock } from "../../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { namesAfter, visibleNamespaces } from "./store-statistics.ts";

const path = join(mkdtempSync(join(tmpdir(), "strata-namespaces-")), "memory.db");

test("of six hundred namespaces those are named and counted that hold something visible", async () => {
  const clock = createManualClock();
  const store = await openSqliteStore(path, { clock });
  const expected: string[] = [];
  for (let n = 0; n < 600; n++) {
    const namespace = `n${String(n).padStart(3, "0")}`;
    const scope = { namespace };
    const kind = n % 6;
    if (kind === 0) await store.add(scope, [sampleEntry("a", { tier: "semantic" })]);
    if (kind === 1) await store.add(scope, [sampleEntry("a", { tier: "working" })]);
    if (kind === 2) await store.add(scope, [sampleEntry("a", { tier: "working", pinned: true })]);
    if (kind === 3) {
      const staged = await store.stageDocument(scope, sampleDocument("a.md"));
      await store.addChunks(staged, sampleChunks("c", ["one", "two"]));
      await store.publishDocument(staged);
    }
    if (kind === 4) {
      await store.add(scope, [sampleEntry("a")]);
      await store.forget(scope, {});
    }
    if (kind === 5) {
      await store.add(scope, [sampleEntry("a", { tier: "working" }), sampleEntry("b", { tier: "semantic" })]);
    }
    if (kind === 0 || kind === 2 || kind === 3 || kind === 5) expected.push(namespace);
  }
  clock.advance(901_000);
  assert.deepEqual(await store.namespaces(), expected);
  assert.equal((await store.stats()).namespaces, expected.length);
  await store.cleanup({ dryRun: false });
  assert.deepEqual(await store.namespaces(), expected);
  assert.equal((await store.stats()).namespaces, expected.length);
  await store.close();
});

test("neither reads the entries of a namespace", () => {
  using database = new DatabaseSync(path);
  for (const sql of [namesAfter, visibleNamespaces]) {
    const plan = database
      .prepare(`explain query plan ${sql}`)
      .all()
      .map((row) => String(row["detail"]));
    assert.deepEqual(
      plan.filter((step) => /\b(?:x|t)\b/u.test(step)),
      [
        "SEARCH t USING PRIMARY KEY (namespace=?)",
        "SEARCH t USING PRIMARY KEY (namespace=?)",
        "SEARCH x USING COVERING INDEX entry_expiry (namespace=? AND tier=? AND expires_at<?)",
      ],
    );
  }
});

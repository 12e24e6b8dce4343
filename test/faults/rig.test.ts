import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { suite, test } from "node:test";
import { openMemory } from "../../src/engine/open-memory.ts";
import { runRig } from "./rig.ts";
import { checkFile, type Findings, isSound } from "./rig-checker.ts";
import { Ledger } from "./rig-ledger.ts";
import { contentOf, documentText, openOptions, tagsOf } from "./rig-texts.ts";

suite("processes killed at random", () => {
  test("eight of them on one file lose nothing, and do nothing twice or by halves", async (context) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const result = await runRig({ rounds: 2, seed, roundMs: 500 });
    context.diagnostic(`seed ${seed}: ${result.kills} kills, ${result.acknowledged} acknowledged writes`);
    assert.deepEqual(result.failure, undefined, `seed ${seed}`);
    assert.ok(result.kills > 0 && result.acknowledged > 0);
  });
});

suite("the checker of the rig", () => {
  const folder = mkdtempSync(join(tmpdir(), "strata-checker-"));

  /** Two memories and a document, all acknowledged. */
  async function makeFile(): Promise<string> {
    const path = join(folder, "memory.db");
    await using memory = await openMemory(openOptions(path));
    for (const id of ["a", "b"]) {
      const [tags, metadata] = [tagsOf("w", 0), { revision: 0 }];
      await memory.store(contentOf(id, 0), { id, namespace: "first", tags, metadata });
    }
    await memory.update("a", { tier: "semantic" }, { namespace: "first" });
    await memory.ingest(
      { name: "document.md", text: documentText("document.md", "v1") },
      { namespace: "first", chunkSize: 40, overlap: 0 },
    );
    return path;
  }

  function acknowledgeAll(): Ledger {
    const ledger = new Ledger();
    const told = ledger.follow();
    const namespace = "first";
    const tier = "long_term";
    for (const [n, id] of ["a", "b"].entries()) {
      told.take({ line: "begin", n, at: n, write: { kind: "store", id, namespace, owner: "w", tier } });
      told.take({ line: "done", n, at: n });
    }
    const write = { kind: "ingest", uri: "document.md", namespace, version: "v1" } as const;
    told.take({ line: "begin", n: 2, at: 2, write });
    told.take({ line: "done", n: 2, at: 3 });
    return ledger;
  }

  const wrongs: readonly (readonly [name: string, kind: keyof Findings, sql: string])[] = [
    ["a memory that is gone", "lost", "delete from entry where id = 1; delete from memory where row = 1"],
    ["a text of another revision", "lost", "update memory set content = 'other' where row = 2"],
    [
      "a memory that is there twice",
      "duplicated",
      "insert into memory select 900, namespace, 900, seq, id, content_hash, bytes, model, created_at, updated_at, at, happened_at, version, thread, speaker, null, chunk, start_offset, end_offset, headings, tags, metadata, content from memory where row = 2; insert into entry select 900, namespace, document, tier, importance, access_count, last_used_at, last_used_day, expires_at, pinned, faded, b, k from entry where id = 2",
    ],
    ["a move that only the journal knows", "halfMoves", "update entry set tier = 3 where id = 1"],
    ["a count that moved alone", "halfMoves", "update tier_count set entries = entries + 1"],
    [
      "a chunk that is missing",
      "halfDocuments",
      "delete from memory where row = (select max(row) from memory where chunk is not null)",
    ],
    ["a vector of another text", "broken", "update vector set data = zeroblob(64) where row = 1"],
  ];

  test("finds nothing in a file that is right, and each wrong under its name", async () => {
    const path = await makeFile();
    const right = checkFile(path, acknowledgeAll());
    assert.ok(isSound(right), JSON.stringify(right));
    for (const [name, kind, sql] of wrongs) {
      const copy = join(folder, "wrong.db");
      copyFileSync(path, copy);
      const database = new DatabaseSync(copy);
      database.exec(sql);
      database.close();
      const found = checkFile(copy, acknowledgeAll())[kind];
      assert.ok(Array.isArray(found) && found.length > 0, `${name}: ${kind}`);
    }
  });
});

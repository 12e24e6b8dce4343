import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { openMemory } from "./open-memory.ts";

let folder: string;
let embedded: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata vectors "));
  embedded = [];
});

afterEach(() => rmSync(folder, { recursive: true }));

/** A model that costs something, and tells what it was asked. */
function costlyModel(): EmbeddingModel {
  return {
    id: "costly@1",
    dimensions: 4,
    maxBatchSize: 16,
    doEmbed(texts) {
      embedded.push(...texts);
      return { vectors: texts.map((text) => Float32Array.of(text.length, 1, 2, 3)) };
    },
  };
}

suite("vectors that cost something to make", () => {
  test("are made once, and kept for the next process in a file of their owner's alone", async () => {
    const path = join(folder, "memory.db");
    {
      await using memory = await openMemory({ path, model: costlyModel() });
      await memory.store("Otters hold hands.", { namespace: "a" });
    }
    await using memory = await openMemory({ path, model: costlyModel() });
    await memory.store("Otters hold hands.", { namespace: "b" });
    assert.deepEqual(embedded, ["Otters hold hands."]);
    assert.equal(statSync(`${path}-vectors`).mode & 0o777, 0o600);
  });

  test("are forgotten with the memory that is erased", async () => {
    const path = join(folder, "memory.db");
    const { id } = await (async () => {
      await using memory = await openMemory({ path, model: costlyModel() });
      return memory.store("My door code is 4711.");
    })();
    await using memory = await openMemory({ path, model: costlyModel() });
    await memory.forget(id, { erase: true });
    await memory.store("My door code is 4711.");
    assert.deepEqual(embedded, ["My door code is 4711.", "My door code is 4711."]);
  });
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { EmbeddingReply } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { Recall } from "../contract/recall.ts";
import { gate, type Script, ScriptedModel, vectorOf } from "../embedding/scripted-model.fixture.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { ReembedProgress } from "./reembed-options.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-reembed-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = (): string => {
  const place = join(folder, `${files++}`);
  mkdirSync(place);
  return join(place, "memory.db");
};
const open = (path: string, options: OpenOptions = {}) => openMemory({ path, configFile: false, ...options });

/** A model whose vectors are like no other's. */
class NamedModel extends ScriptedModel {
  override readonly id: string;
  override readonly dimensions = 8;
  readonly price: { readonly perMillionTokens: number } | undefined;

  constructor(
    id: string,
    script?: Script,
    options: { readonly price?: number; readonly cheap?: boolean } = {},
  ) {
    super(script ?? ((texts) => replyOf(id, texts)), { cheap: options.cheap ?? true });
    this.id = id;
    this.price = options.price === undefined ? undefined : { perMillionTokens: options.price };
  }
}

function vectorBy(id: string, text: string): Float32Array {
  const values = [...vectorOf(`${id}: ${text}`), ...vectorOf(`${text} by ${id}`)];
  const length = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / length);
}

/** Nothing is known in a text with three question marks. */
function replyOf(id: string, texts: readonly string[]): EmbeddingReply {
  return { vectors: texts.map((text) => (text.includes("???") ? null : vectorBy(id, text))) };
}

const textOf = (number: number): string =>
  `Note ${number} tells of harbour ${number % 7} and crane ${number % 11}`;
const items = (count: number) =>
  Array.from({ length: count }, (_, number) => ({ id: `n${number}`, content: textOf(number) }));

const found = ({ hits }: Recall): (readonly [string, number])[] =>
  hits.map(({ memory, score }) => [memory.id, score] as const);
const byMeaning = { mode: "vector", limit: 8, touch: false, cache: false } as const;

/** Whether any file beside the memory's holds these bytes. */
function holds(path: string, bytes: Uint8Array): boolean {
  const place = join(path, "..");
  return readdirSync(place, { recursive: true })
    .map((name) => join(place, String(name)))
    .some((file) => statSync(file).isFile() && readFileSync(file).includes(Buffer.from(bytes)));
}

/** A vector as its row keeps it. */
const bytesOf = (id: string, text: string): Uint8Array =>
  new Uint8Array(new Float16Array(vectorBy(id, text)).buffer);

async function rejectsWith(promise: Promise<unknown>, code: StrataError["code"]): Promise<void> {
  await assert.rejects(promise, (error) => StrataError.isInstance(error) && error.code === code);
}

describe("a change of models", () => {
  test("a memory opened with another model is embedded again, and answers by it", async () => {
    const path = newPath();
    await using first = await open(path);
    await first.storeMany(items(20));
    await first.close();
    await using memory = await open(path, { model: new NamedModel("next") });
    const report = await memory.reembed();
    assert.deepEqual(report, {
      model: "next",
      dryRun: false,
      complete: true,
      namespaces: 1,
      embedded: 20,
      unknown: 0,
      failed: 0,
      dropped: 20,
      tokens: report.tokens,
    });
    assert.deepEqual((await memory.stats()).models, { next: 20 });
    const answer = await memory.recall(textOf(3), { ...byMeaning, explain: true });
    assert.equal(answer.hits[0]!.memory.id, "n3");
    assert.equal(answer.explanation!.request.model, "next");
    assert.equal(answer.skipped, undefined);
  });

  test("until all is embedded the former model answers, to the bit, and then the new one at once", async () => {
    const path = newPath();
    const asked = ["harbour 3", "crane 9 and 10", textOf(5)];
    const answersOf = async (memory: Awaited<ReturnType<typeof open>>) => {
      const answers = [];
      for (const question of asked) {
        for (const mode of ["vector", "hybrid"] as const) {
          const answer = await memory.recall(question, { ...byMeaning, mode });
          assert.equal(answer.skipped, undefined);
          answers.push(found(answer));
        }
      }
      return answers;
    };
    await using first = await open(path);
    await first.storeMany(items(60));
    const before = await answersOf(first);
    await first.close();

    const gates = Array.from({ length: 3 }, gate);
    const reached = Array.from({ length: 3 }, gate);
    let slice = 0;
    const next = new NamedModel("next", async (texts, { task }) => {
      if (task === "document") {
        const at = slice++;
        reached[at]?.open();
        await gates[at]?.opened;
      }
      return replyOf("next", texts);
    });
    await using memory = await open(path, { model: next });
    assert.deepEqual(await answersOf(memory), before);
    const changing = memory.reembed({ batchSize: 20 });
    for (const at of [0, 1, 2]) {
      await reached[at]!.opened;
      assert.deepEqual((await memory.stats()).models["next"] ?? 0, 20 * at);
      assert.deepEqual(await answersOf(memory), before);
      gates[at]!.open();
    }
    assert.equal((await changing).embedded, 60);
    // The index is made ready while the former one, which is whole, still answers.
    let settled: Recall;
    do settled = await memory.recall(textOf(5), { ...byMeaning, explain: true });
    while (settled.explanation!.request.model !== "next");
    assert.equal(settled.hits[0]!.memory.id, "n5");
    assert.equal(settled.hits.length, 8);
    assert.equal(settled.skipped, undefined);
    await using fresh = await open(path, { model: new NamedModel("next") });
    assert.deepEqual(await answersOf(memory), await answersOf(fresh));
  });

  test("what is written meanwhile has a vector of both, so that neither model misses it", async () => {
    const path = newPath();
    const started = gate();
    const go = gate();
    const next = new NamedModel("next", async (texts) => {
      if (texts.some((text) => text.startsWith("Note"))) {
        started.open();
        await go.opened;
      }
      return replyOf("next", texts);
    });
    await using memory = await open(path, { model: new NamedModel("former") });
    await memory.storeMany(items(10));
    const changing = memory.reembed({ model: next });
    await started.opened;
    await memory.store("Written meanwhile", { id: "new" });
    await memory.ingest({ name: "d.md", text: "# Title\n\nA document written meanwhile.\n" });
    await memory.update("n4", { content: "Changed meanwhile" });
    const { models } = await memory.stats();
    assert.deepEqual(models, { former: 12, next: 3 });
    const answer = await memory.recall("Changed meanwhile", { ...byMeaning, explain: true });
    assert.equal(answer.explanation!.request.model, "former");
    assert.deepEqual([answer.hits[0]!.memory.id, answer.skipped], ["n4", undefined]);
    go.open();
    const report = await changing;
    // The one that changed while its old text was embedded has a vector of its new one.
    assert.deepEqual([report.complete, report.embedded, report.dropped], [true, 9, 12]);
    assert.deepEqual((await memory.stats()).models, { next: 12 });
    await memory.close();
    await using again = await open(path, { model: new NamedModel("next") });
    const changed = await again.recall("Changed meanwhile", byMeaning);
    assert.deepEqual([changed.hits[0]!.memory.id, changed.hits.length], ["n4", 8]);
    assert.ok(changed.hits[0]!.score > 0.99);
  });

  test("without the former model, words answer and the answer says what it skipped", async () => {
    const path = newPath();
    await using first = await open(path, { model: new NamedModel("former") });
    await first.storeMany(items(30));
    await first.store("Tagged note of a harbour", { tags: ["t"] });
    await first.close();
    await using memory = await open(path, { model: new NamedModel("next") });
    await memory.store("A harbour of the new model", { tags: ["t"] });
    const answer = await memory.recall("harbour 3", { limit: 10, explain: true });
    assert.equal(answer.hits.length, 10);
    assert.equal(answer.skipped, 31);
    assert.deepEqual(answer.explanation!.dropped, [{ reason: "vector of another model", count: 31 }]);
    assert.equal((await memory.recall("harbour 3", { tags: ["t"] })).skipped, 1);
    assert.equal((await memory.recall("harbour 3", { mode: "keyword" })).skipped, undefined);
    assert.equal((await memory.research(["harbour 3", "crane"])).skipped, 31);
    await using other = await open(path, { model: new NamedModel("next") });
    assert.equal((await other.recall("harbour 3")).skipped, 31);
    await memory.reembed();
    assert.equal((await other.recall("harbour 3")).skipped, undefined);
    assert.equal((await memory.recall("harbour 3")).skipped, undefined);
    assert.equal((await memory.recall(textOf(8), byMeaning)).hits[0]!.memory.id, "n8");
  });

  test("a model named as the former one answers until then", async () => {
    const path = newPath();
    await using first = await open(path, { model: new NamedModel("former") });
    await first.storeMany(items(12));
    const before = found(await first.recall(textOf(2), byMeaning));
    await first.close();
    const formerModel = new NamedModel("former");
    await using memory = await open(path, { model: new NamedModel("next"), formerModel });
    assert.deepEqual(found(await memory.recall(textOf(2), byMeaning)), before);
    await memory.reembed();
    await memory.close();
    assert.equal(formerModel.closed, 1);
  });

  test("a former model that fails leaves the answer to the new one and the words", async () => {
    const path = newPath();
    await using first = await open(path, { model: new NamedModel("former") });
    await first.storeMany(items(12));
    await first.close();
    const formerModel = new NamedModel("former", () => {
      throw new StrataError("EMBEDDING_FAILED", "gone");
    });
    await using memory = await open(path, { model: new NamedModel("next"), formerModel });
    const answer = await memory.recall("harbour 3", { limit: 5 });
    assert.deepEqual([answer.hits.length > 0, answer.skipped], [true, 12]);
    await memory.store("Kept all the same", { id: "kept" });
    assert.equal((await memory.get("kept"))!.model, "next");
    assert.equal((await memory.reembed()).complete, true);
  });

  test("texts in which the model knows nothing are noted, and never asked for again", async () => {
    const path = newPath();
    const next = new NamedModel("next");
    await using memory = await open(path, {
      model: new NamedModel("former", (texts) => replyOf("former", texts)),
    });
    await memory.storeMany([...items(5), { content: "??? of both", id: "both" }]);
    assert.deepEqual((await memory.stats()).unknown, { former: 1 });
    const first = await memory.reembed({ model: next });
    assert.deepEqual([first.embedded, first.unknown, first.complete], [6, 1, true]);
    const calls = next.calls.length;
    const second = await memory.reembed();
    assert.deepEqual([second.embedded, second.dropped, second.complete], [0, 0, true]);
    assert.equal(next.calls.length, calls);
    const { withoutVector, unknown, models } = await memory.stats();
    assert.deepEqual([withoutVector, unknown, models], [1, { next: 1 }, { next: 5 }]);
    assert.equal((await memory.recall("harbour 3")).skipped, undefined);
  });

  test("no byte of the old vectors is left, of what was forgotten neither", async () => {
    const path = newPath();
    const source = join(path, "..", "source.md");
    writeFileSync(source, "# Title\n\nA chunk of a document.\n");
    await using memory = await open(path, { model: new NamedModel("former") });
    await memory.storeMany(items(40));
    await memory.ingest(source);
    await memory.forget(["n7"]);
    const chunk = (await memory.list({ document: source })).memories[0]!;
    const texts = [textOf(3), textOf(7), textOf(39), vectorText(chunk)];
    await memory.flush();
    for (const text of texts) assert.ok(holds(path, bytesOf("former", text)), text);
    await memory.reembed({ model: new NamedModel("next") });
    await memory.close();
    for (const text of texts) assert.ok(!holds(path, bytesOf("former", text)), text);
    for (const text of [texts[0]!, texts[3]!]) assert.ok(holds(path, bytesOf("next", text)), text);
  });

  test("erasing during the change leaves no vector of either model, and no cached one", async () => {
    const path = newPath();
    const started = gate();
    const go = gate();
    const costly = { cheap: false };
    const next = new NamedModel(
      "next",
      async (texts) => {
        if (texts.includes(textOf(15))) {
          started.open();
          await go.opened;
        }
        return replyOf("next", texts);
      },
      costly,
    );
    const former = new NamedModel("former", undefined, costly);
    await using memory = await open(path, { model: former });
    await memory.storeMany(items(20));
    const changing = memory.reembed({ model: next, batchSize: 10 });
    await started.opened;
    // One that has both vectors, one whose second is on its way.
    await using other = await open(path, { model: new NamedModel("former", undefined, costly) });
    await other.forget(["n2", "n16"], { erase: true });
    go.open();
    const report = await changing;
    assert.deepEqual([report.embedded, report.complete], [19, true]);
    await other.close();
    await memory.close();
    for (const number of [2, 16]) {
      for (const id of ["former", "next"]) {
        const text = textOf(number);
        assert.ok(!holds(path, bytesOf(id, text)), `${id} ${number}`);
        assert.ok(!holds(path, new Uint8Array(vectorBy(id, text).buffer)), `${id} ${number} in the cache`);
      }
    }
  });

  test("a process that writes with the old model during the change is caught up with", async () => {
    const path = newPath();
    await using old = await open(path, { model: new NamedModel("former") });
    await old.storeMany(items(20));
    const next = new NamedModel("next", async (texts) => {
      if (texts.includes(textOf(19))) await old.storeMany([{ id: "late", content: "Late of the old one" }]);
      return replyOf("next", texts);
    });
    const former = new NamedModel("former");
    await using memory = await open(path, { model: next, formerModel: former });
    const report = await memory.reembed({ batchSize: 5 });
    assert.deepEqual([report.embedded, report.dropped, report.complete], [21, 21, true]);
    // From now on the two disagree, and each says so.
    await old.store("Written with the old model after the change", { id: "after" });
    let answer: Recall;
    do answer = await memory.recall("old model", byMeaning);
    while (answer.skipped === undefined);
    assert.equal(answer.skipped, 1);
    assert.equal((await memory.reembed()).embedded, 1);
    assert.equal(
      (await memory.recall("Written with the old model after the change", byMeaning)).skipped,
      undefined,
    );
    assert.equal((await old.recall("old model", { limit: 30 })).hits.length > 0, true);
  });

  test("the other vectors can be kept for processes that go on with their model", async () => {
    const path = newPath();
    await using old = await open(path, { model: new NamedModel("former") });
    await old.storeMany(items(10));
    const before = found(await old.recall(textOf(4), byMeaning));
    await using memory = await open(path, { model: new NamedModel("next") });
    const kept = await memory.reembed({ keep: true });
    assert.deepEqual([kept.embedded, kept.dropped, kept.complete], [10, 0, true]);
    assert.deepEqual((await memory.stats()).models, { former: 10, next: 10 });
    assert.deepEqual(found(await old.recall(textOf(4), byMeaning)), before);
    assert.equal((await memory.recall(textOf(4), byMeaning)).skipped, undefined);
    const dropped = await memory.reembed();
    assert.deepEqual([dropped.embedded, dropped.dropped], [0, 10]);
    await using late = await open(path, { model: new NamedModel("former") });
    assert.equal((await late.recall(textOf(4), byMeaning)).skipped, 10);
  });

  test("a document replaced and one staged by the old model during the change are embedded too", async () => {
    const path = newPath();
    await using old = await open(path, { model: new NamedModel("former") });
    const text = (name: string) =>
      `# ${name}\n\n${"A sentence of the harbour and its cranes. ".repeat(400)}\n`;
    await old.ingest({ name: "replaced.md", text: text("One") });
    await old.storeMany(items(3));
    let replaced = false;
    const next = new NamedModel("next", async (texts) => {
      if (!replaced) {
        replaced = true;
        await old.ingest({ name: "replaced.md", text: text("Two") });
        await old.ingest({ name: "new.md", text: text("New") });
      }
      return replyOf("next", texts);
    });
    await using memory = await open(path, { model: next });
    const report = await memory.reembed({ batchSize: 4 });
    const { memories, models } = await memory.stats();
    assert.ok(report.complete);
    assert.deepEqual(models, { next: memories });
  });

  test("a dry run tells texts, tokens and price, and changes nothing", async () => {
    const path = newPath();
    await using memory = await open(path);
    await memory.storeMany(items(10));
    const generation = await memory.stats();
    const next = new NamedModel("next", undefined, { price: 2_000 });
    const seen: ReembedProgress[] = [];
    const report = await memory.reembed({ dryRun: true, model: next, onProgress: (each) => seen.push(each) });
    assert.ok(report.tokens > 50);
    assert.deepEqual(report, {
      model: "next",
      dryRun: true,
      complete: false,
      namespaces: 1,
      embedded: 10,
      unknown: 0,
      failed: 0,
      dropped: 10,
      tokens: report.tokens,
      price: (report.tokens * 2_000) / 1e6,
    });
    assert.deepEqual(seen, [{ step: "counting", namespace: "default", done: 10, total: 10 }]);
    assert.deepEqual([next.calls.length, next.closed], [0, 0]);
    assert.deepEqual(await memory.stats(), generation);
    assert.equal((await memory.reembed({ dryRun: true })).complete, true);
  });

  test("an abort leaves what was embedded, and the next call goes on from there", async () => {
    const path = newPath();
    await using first = await open(path);
    await first.storeMany(items(50));
    await first.close();
    const stop = new AbortController();
    const reason = new Error("enough");
    const next = new NamedModel("next");
    await using memory = await open(path, { model: next });
    const onProgress = ({ done }: ReembedProgress): void => {
      if (done === 30) stop.abort(reason);
    };
    await assert.rejects(memory.reembed({ batchSize: 10, signal: stop.signal, onProgress }), reason);
    assert.equal((await memory.stats()).models["next"], 30);
    const report = await memory.reembed({ batchSize: 10 });
    assert.deepEqual([report.embedded, report.dropped, report.complete], [20, 50, true]);
    assert.equal(next.texts.length, 50);
    await rejectsWith(
      memory.reembed({ signal: AbortSignal.abort(new StrataError("CLOSED", "x")) }),
      "CLOSED",
    );
  });

  test("closing ends it, as an abort does", async () => {
    const path = newPath();
    const started = gate();
    const next = new NamedModel(
      "next",
      (_, { signal }) => {
        started.open();
        return new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
      },
      { cheap: false },
    );
    await using memory = await open(path);
    await memory.storeMany(items(5));
    const changing = memory.reembed({ model: next });
    const rejected = rejectsWith(changing, "CLOSED");
    await started.opened;
    await memory.close();
    await rejected;
    await using again = await open(path, { model: new NamedModel("next") });
    assert.equal((await again.reembed()).embedded, 5);
  });

  test("a text on which the model fails is left with what it has, told, and tried by the next call", async () => {
    const path = newPath();
    let poison = true;
    const next = new NamedModel(
      "next",
      (texts) => {
        if (poison && texts.includes(textOf(3)))
          throw new StrataError("EMBEDDING_FAILED", "cannot digest it");
        return replyOf("next", texts);
      },
      { cheap: false },
    );
    await using memory = await open(path);
    await memory.storeMany(items(10));
    const before = found(await memory.recall(textOf(3), byMeaning));
    const first = await memory.reembed({ model: next });
    assert.deepEqual([first.complete, first.failed, first.embedded, first.dropped], [false, 1, 9, 0]);
    assert.deepEqual(found(await memory.recall(textOf(3), byMeaning)), before);
    poison = false;
    const second = await memory.reembed();
    assert.deepEqual([second.complete, second.embedded, second.dropped], [true, 1, 10]);
  });

  test("a model that fails altogether ends it with its error", async () => {
    await using memory = await open(newPath());
    await memory.storeMany(items(30));
    const next = new NamedModel("next", () => {
      throw new StrataError("EMBEDDING_FAILED", "no such key");
    });
    await rejectsWith(memory.reembed({ model: next }), "EMBEDDING_FAILED");
    assert.equal((await memory.recall(textOf(3), byMeaning)).hits.length, 8);
  });

  test("one worker is at it, and another is told so", async () => {
    const path = newPath();
    const clock = createManualClock();
    const started = gate();
    const go = gate();
    const next = new NamedModel("next", async (texts) => {
      started.open();
      await go.opened;
      return replyOf("next", texts);
    });
    await using memory = await open(path, { clock });
    await memory.storeMany(items(5));
    const changing = memory.reembed({ model: next });
    await started.opened;
    const waits: string[] = [];
    const second = memory.reembed({ onProgress: ({ step }) => waits.push(step) });
    let refused: unknown;
    second.catch((error: unknown) => {
      refused = error;
    });
    while (refused === undefined) {
      clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(StrataError.isInstance(refused) && refused.code === "DATABASE_BUSY");
    assert.ok(waits.includes("waiting"));
    go.open();
    assert.equal((await changing).embedded, 5);
  });

  test("all namespaces are changed when asked for, each by itself", async () => {
    const path = newPath();
    await using memory = await open(path);
    for (const namespace of ["a", "b", "c"]) await memory.storeMany(items(4), { namespace });
    const one = await memory.reembed({ model: new NamedModel("next"), namespace: "b" });
    assert.deepEqual([one.namespaces, one.embedded], [1, 4]);
    const all = await memory.reembed({ all: true });
    assert.deepEqual([all.namespaces, all.embedded, all.complete], [3, 8, true]);
    assert.deepEqual((await memory.stats({ all: true })).models, { next: 12 });
  });

  test("an export during the change carries vectors that an import takes", async () => {
    const path = newPath();
    await using memory = await open(path, { model: new NamedModel("former") });
    await memory.storeMany(items(6));
    await using changing = await open(path, {
      model: new NamedModel("next"),
      formerModel: new NamedModel("former"),
    });
    await changing.reembed({ keep: true });
    const lines: string[] = [];
    for await (const line of changing.export({ vectors: true })) lines.push(line);
    const former = new NamedModel("former");
    await using copy = await open(newPath(), { model: former });
    await copy.import(lines);
    assert.equal(former.texts.length, 0);
    assert.deepEqual((await copy.stats()).models, { former: 6 });
    await using other = await open(newPath(), { model: new NamedModel("next") });
    await other.import(lines);
    assert.deepEqual((await other.stats()).models, { next: 6 });
  });

  test("options are checked", async () => {
    await using memory = await open(newPath());
    await rejectsWith(memory.reembed({ batchSize: Number.NaN }), "INVALID_ARGUMENT");
    await rejectsWith(memory.reembed({ bathcSize: 1 } as object), "UNKNOWN_OPTION");
    assert.deepEqual((await memory.reembed()).embedded, 0);
  });
});

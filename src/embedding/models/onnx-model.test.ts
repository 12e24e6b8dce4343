import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openOnnxModel, probeOnnxDevices } from "./onnx-model.ts";

const tiny = JSON.parse(readFileSync(new URL("./tiny-graphs.fixture.json", import.meta.url), "utf8"));
const scratch = mkdtempSync(join(tmpdir(), "strata-onnx-"));
after(() => rmSync(scratch, { recursive: true }));

const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "prefers", "tea", "a", "b", "c", "d"];
const rows: readonly (readonly number[])[] = tiny.rows;

interface TinyFolder {
  readonly name: string;
  readonly graph?: "tokens" | "pooled";
  /** Files to write over or beside those of a whole export; null: left out. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/** An export whose tokens' vectors are rows of a table. */
function tinyFolder({ name, graph = "tokens", files = {} }: TinyFolder): string {
  const all: Record<string, unknown> = {
    "config.json": { _name_or_path: "tests/tiny", max_position_embeddings: 8 },
    "modules.json": [
      { idx: 0, path: "", type: "sentence_transformers.models.Transformer" },
      { idx: 1, path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
    ],
    "1_Pooling/config.json": { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true },
    "tokenizer_config.json": { model_max_length: 8 },
    "tokenizer.json": tinyTokenizer(),
    ...files,
  };
  const folder = join(scratch, name);
  mkdirSync(join(folder, "1_Pooling"), { recursive: true });
  for (const [file, content] of Object.entries(all))
    if (content !== null)
      writeFileSync(join(folder, file), typeof content === "string" ? content : JSON.stringify(content));
  writeFileSync(join(folder, "model.onnx"), Buffer.from(tiny[graph], "base64"));
  return folder;
}

function tinyTokenizer(): object {
  const special = (id: number) => ({ id, content: words[id], special: true, normalized: false });
  const template = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const tokens = Object.fromEntries(
    ["[CLS]", "[SEP]"].map((id) => [id, { id, ids: [words.indexOf(id)], tokens: [id] }]),
  );
  return {
    version: "1.0",
    added_tokens: [0, 1, 2, 3].map(special),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: {
      type: "TemplateProcessing",
      single: [template("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, template("[SEP]")],
      pair: [],
      special_tokens: tokens,
    },
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      unk_token: "[UNK]",
    },
  };
}

function unit(vector: readonly number[]): number[] {
  return vector.map((value) => value / Math.hypot(...vector));
}

function meanOf(ids: readonly number[]): number[] {
  return unit([0, 1, 2, 3].map((d) => ids.reduce((sum, id) => sum + rows[id]![d]!, 0) / ids.length));
}

function near(got: Float32Array | null | undefined, expected: readonly number[], message?: string): void {
  assert.ok(got, message);
  expected.forEach((value, d) => {
    assert.ok(Math.abs(got[d]! - value) < 1e-6, message);
  });
}

const tea = "Ada prefers tea";
const teaIds = [2, 4, 5, 6, 3];
const document = { task: "document" } as const;

suite("an ONNX model", () => {
  test("gives a unit vector a text, the mean of its tokens' vectors", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "mean" }));
    const { vectors, tokens } = await model.doEmbed([tea], document);
    near(vectors[0], meanOf(teaIds));
    assert.equal(tokens, 5);
    assert.equal(model.dimensions, 4);
    assert.equal(model.device, "cpu");
  });

  test("takes the first token's vector where the export pools so", async () => {
    const files = { "1_Pooling/config.json": { pooling_mode_cls_token: true } };
    await using model = await openOnnxModel(tinyFolder({ name: "cls", files }));
    const { vectors } = await model.doEmbed([tea], document);
    near(vectors[0], unit(rows[2]!));
  });

  test("leaves the pooling to a graph that does it", async () => {
    const files = { "1_Pooling/config.json": null };
    await using model = await openOnnxModel(tinyFolder({ name: "pooled", graph: "pooled", files }));
    const { vectors } = await model.doEmbed([tea], document);
    near(vectors[0], meanOf(teaIds));
    assert.equal(model.pooling, "in the graph");
  });

  for (const textsPerRun of [1, 3]) {
    test(`answers in the order of the texts, computed ${textsPerRun} at a time`, async () => {
      await using model = await openOnnxModel(tinyFolder({ name: `order-${textsPerRun}` }), { textsPerRun });
      const texts = ["a b c d", "a", "Ada prefers tea", "b", "tea tea", "c d"];
      const expected = [[7, 8, 9, 10], [7], [4, 5, 6], [8], [6, 6], [9, 10]];
      const { vectors } = await model.doEmbed(texts, document);
      expected.forEach((ids, text) => {
        near(vectors[text], meanOf([2, ...ids, 3]), texts[text]);
      });
    });
  }

  test("cuts a text at the model's number of tokens and keeps the closing one", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "long" }));
    assert.equal(model.maxTokens, 8);
    const { vectors, tokens } = await model.doEmbed(["a b c d a b c d a b c d"], document);
    near(vectors[0], meanOf([2, 7, 8, 9, 10, 7, 8, 3]));
    assert.equal(tokens, 8);
  });

  test("knows nothing in a text of which no piece is in its vocabulary", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "unknown" }));
    const { vectors, unknownShares } = await model.doEmbed(["xyzzy", "", "tea xyzzy"], document);
    assert.deepEqual(vectors.slice(0, 2), [null, null]);
    assert.deepEqual(unknownShares, [1, 1, 0.5]);
    near(vectors[2], meanOf([2, 6, 1, 3]));
  });

  test("puts the export's prompt of the task before each text", async () => {
    const files = { "config_sentence_transformers.json": { prompts: { query: "a ", passage: "b " } } };
    await using model = await openOnnxModel(tinyFolder({ name: "prompts", files }));
    const query = await model.doEmbed(["tea"], { task: "query" });
    const passage = await model.doEmbed(["tea"], document);
    near(query.vectors[0], meanOf([2, 7, 6, 3]));
    near(passage.vectors[0], meanOf([2, 8, 6, 3]));
    assert.equal(model.symmetric, false);
  });

  test("has an id that follows what decides a vector, and nothing else", async () => {
    const ids = new Map<string, string>();
    const cases = {
      here: tinyFolder({ name: "here" }),
      there: tinyFolder({ name: "there" }),
      otherPooling: tinyFolder({
        name: "other",
        files: { "1_Pooling/config.json": { pooling_mode_cls_token: true } },
      }),
    };
    for (const [name, folder] of Object.entries(cases)) {
      await using model = await openOnnxModel(folder);
      ids.set(name, model.id);
    }
    assert.match(ids.get("here")!, /^onnx\/tiny@[0-9a-f]{12}$/);
    assert.equal(ids.get("there"), ids.get("here"));
    assert.notEqual(ids.get("otherPooling"), ids.get("here"));
  });

  test("lets the event loop go on while it computes", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "loop" }));
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const texts = Array.from({ length: 64 }, () => "a b c d");
    while (turns < 3) await model.doEmbed(texts, document);
    clearInterval(timer);
  });
});

suite("an ONNX model that is stopped", () => {
  test("one caller's abort leaves the others alone", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "abort" }));
    const texts = Array.from({ length: 64 }, () => tea);
    const stop = new AbortController();
    const stopped = model.doEmbed(texts, { ...document, signal: stop.signal });
    const other = model.doEmbed(texts, document);
    stop.abort(new Error("enough"));
    await assert.rejects(stopped, /enough/);
    assert.equal((await other).vectors.length, 64);
    await assert.rejects(model.doEmbed([tea], { ...document, signal: stop.signal }), /enough/);
  });

  test("closing answers every call with CLOSED, twice is once", async () => {
    const model = await openOnnxModel(tinyFolder({ name: "close" }));
    const calls = [1, 2, 3].map(() => model.doEmbed(Array(64).fill(tea), document));
    const ends = Promise.allSettled(calls);
    await Promise.all([model.close(), model.close()]);
    for (const end of await ends)
      if (end.status === "rejected") assert.equal(end.reason.code, "CLOSED");
      else assert.fail("a call was answered after close");
    await assert.rejects(model.doEmbed([tea], document), { code: "CLOSED" });
  });

  test("a thread that dies fails its calls and the next call starts another", async () => {
    const folder = tinyFolder({ name: "crash" });
    await using model = await openOnnxModel(folder);
    const before = await model.doEmbed([tea], document);
    // What no program sends ends the thread, as a defect in native code would end the thread.
    await assert.rejects(model.doEmbed({ length: -1 } as never, document), { code: "EMBEDDING_FAILED" });
    const later = await model.doEmbed([tea], document);
    assert.deepEqual(later.vectors, before.vectors);
  });

  test("files changed under it are not taken for the same model after a crash", async () => {
    const folder = tinyFolder({ name: "changed" });
    await using model = await openOnnxModel(folder);
    writeFileSync(join(folder, "1_Pooling/config.json"), JSON.stringify({ pooling_mode_cls_token: true }));
    await assert.rejects(model.doEmbed({ length: -1 } as never, document), { code: "EMBEDDING_FAILED" });
    await assert.rejects(model.doEmbed([tea], document), { code: "MODEL_MISMATCH" });
  });
});

suite("opening an ONNX model", () => {
  test("a folder without one of its files, or no folder at all, is not found", async () => {
    const without = tinyFolder({ name: "no-tokenizer", files: { "tokenizer.json": null } });
    await assert.rejects(openOnnxModel(without), { code: "MODEL_NOT_FOUND" });
    const whole = tinyFolder({ name: "no-graph" });
    await assert.rejects(openOnnxModel(whole, { graph: "onnx/none.onnx" }), { code: "MODEL_NOT_FOUND" });
    await assert.rejects(openOnnxModel("no-such-model-anywhere"), { code: "MODEL_NOT_FOUND" });
  });

  test("an export whose pooling nobody tells is refused, and taken when the caller tells it", async () => {
    const folder = tinyFolder({ name: "untold", files: { "1_Pooling/config.json": null } });
    await assert.rejects(openOnnxModel(folder), { code: "MODEL_NOT_FOUND", message: /pooling/ });
    await using model = await openOnnxModel(folder, { pooling: "mean" });
    near((await model.doEmbed([tea], document)).vectors[0], meanOf(teaIds));
  });

  for (const [what, files] of Object.entries({
    "a step that is not applied here": { "modules.json": [{ type: "sentence_transformers.models.Dense" }] },
    "pooling of another kind": { "1_Pooling/config.json": { pooling_mode_max_tokens: true } },
    "a file that is no JSON": { "config.json": "{" },
    "a tokenizer of another kind": { "tokenizer.json": { model: { type: "Nothing" } } },
  })) {
    test(`${what} is refused`, async () => {
      const folder = tinyFolder({ name: what.replaceAll(" ", "-"), files });
      await assert.rejects(openOnnxModel(folder), { code: "FILE_UNREADABLE" });
    });
  }

  test("a graph that is no ONNX is refused", async () => {
    const folder = tinyFolder({ name: "no-onnx" });
    writeFileSync(join(folder, "model.onnx"), "<html>");
    await assert.rejects(openOnnxModel(folder), { code: "FILE_UNREADABLE" });
  });

  test("options out of range are refused", async () => {
    for (const options of [{ threads: Number.NaN }, { textsPerRun: 0 }, { maxTokens: 1.5 }])
      await assert.rejects(openOnnxModel(scratch, options), { code: "INVALID_ARGUMENT" });
  });

  test("a device is used, or named with how to supply it, and never another in its place", async () => {
    const folder = tinyFolder({ name: "devices" });
    for (const { device, available, reason, remedy } of await probeOnnxDevices()) {
      if (available) {
        await using model = await openOnnxModel(folder, { device });
        assert.equal(model.device, device);
        continue;
      }
      assert.ok(reason && remedy, device);
      await assert.rejects(openOnnxModel(folder, { device }), (error: Error & { code?: string }) => {
        assert.equal(error.code, "MISSING_PACKAGE");
        return error.message.includes(remedy);
      });
    }
  });

  test("auto takes what computes and says why", async () => {
    await using model = await openOnnxModel(tinyFolder({ name: "auto" }), { device: "auto" });
    assert.match(model.deviceReason, /^auto/);
    if (model.device === "cpu") assert.match(model.deviceReason, /cuda is not usable .*webgpu is not usable/);
  });
});

const cache = fileURLToPath(new URL("../../../.cache/minilm", import.meta.url));
const skip = weightsMissing();

/** The reason to skip what needs the weights; a failure where they are required. */
function weightsMissing(): string | false {
  try {
    readFileSync(join(cache, "made-by.txt"));
    return false;
  } catch {
    const reason = "no weights of all-MiniLM-L6-v2; make them with: node scripts/test-weights/make.ts";
    if (process.env["STRATA_TEST_REQUIRE"]?.split(",").includes("onnx")) throw new Error(reason);
    return reason;
  }
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, lengthA, lengthB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    lengthA += a[i]! ** 2;
    lengthB += b[i]! ** 2;
  }
  return dot / Math.sqrt(lengthA * lengthB);
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

suite("all-MiniLM-L6-v2", { skip }, () => {
  const reference: readonly { readonly text: string; readonly ids: number[]; readonly vector: string }[] =
    skip === false ? JSON.parse(readFileSync(new URL("./minilm.fixture.json", import.meta.url), "utf8")) : [];
  const expected = reference.map(({ vector }) => floats(Buffer.from(vector, "base64")));
  const texts = reference.map(({ text }) => text);

  for (const { graph, least } of [
    { graph: "onnx/model.onnx", least: 0.9999 },
    { graph: "onnx/model_quantized.onnx", least: 0.97 },
  ]) {
    test(`${graph} agrees with the model computed by the book to a cosine of ${least}`, async () => {
      await using model = await openOnnxModel(join(cache, "model"), { graph });
      assert.equal(model.dimensions, 384);
      assert.equal(model.maxTokens, 256);
      const { vectors, tokens } = await model.doEmbed(texts, document);
      assert.equal(
        tokens,
        reference.reduce((sum, { ids }) => sum + ids.length, 0),
      );
      vectors.forEach((vector, text) => {
        assert.ok(vector && cosine(vector, expected[text]!) >= least, texts[text]);
      });
    });
  }

  test("a text has the same vector to the bit alone and in a batch", async () => {
    await using model = await openOnnxModel(join(cache, "model"), { graph: "onnx/model_quantized.onnx" });
    const together = await model.doEmbed(texts, document);
    const alone = await model.doEmbed([texts[3]!], document);
    assert.deepEqual(alone.vectors[0], together.vectors[3]);
  });

  test("agrees with vectors that others have published", async () => {
    const lines = readFileSync(join(cache, "published/records.jsonl"), "utf8").trimEnd().split("\n");
    const all = floats(readFileSync(join(cache, "published/embeddings.bin")));
    const some = lines.flatMap((line, at) => (at % 97 === 0 ? [{ at, text: JSON.parse(line).content }] : []));
    // They were made without the model's own limit of 256 tokens.
    await using model = await openOnnxModel(join(cache, "model"), { maxTokens: 512 });
    const { vectors } = await model.doEmbed(
      some.map(({ text }) => text),
      document,
    );
    some.forEach(({ at }, i) => {
      const similar = cosine(vectors[i]!, all.subarray(at * 384, (at + 1) * 384));
      assert.ok(similar > 0.999, `record ${at}: ${similar}`);
    });
  });
});

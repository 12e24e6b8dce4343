import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { openBuiltinModel } from "./builtin-model.ts";

const shipped = fileURLToPath(new URL("../../../models/builtin", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "strata-model-"));
after(() => rmSync(scratch, { recursive: true }));
const model = await openBuiltinModel();

/** A copy of the shipped model's files to break. */
function copyOfModel(name: string): string {
  const folder = join(scratch, name);
  for (const file of ["manifest.json", "static-minilm-256.bin", "vocab.bin"])
    cpSync(join(shipped, file), join(folder, file));
  return folder;
}

function cosine(a: Float32Array | null | undefined, b: Float32Array | null | undefined): number {
  assert.ok(a && b);
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

test("reading some rows gives what reading all gives, to the bit", async () => {
  const some = await openBuiltinModel({ someRows: true });
  assert.equal(some.id, model.id);
  const text = fc.array(
    fc.constantFrom("tea", "Ada", "drinks", "zymurgy", "北", "##", "quantum", "of", "x9"),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        text.map((words) => words.join(" ")),
        fc.string(),
      ),
      (words) => {
        assert.deepEqual(some.doEmbed([words]), model.doEmbed([words]));
      },
    ),
  );
  const [row, expected] = [new Float32Array(96), new Float32Array(96)];
  for (let piece = model.table.size - 1; piece >= 0; piece -= 7) {
    assert.equal(some.table.leadingRow(piece, row), model.table.leadingRow(piece, expected));
    assert.deepEqual(row, expected);
  }
  some.close();
  some.close();
});

test("a file that is cut short is refused where only some of it is read, too", async () => {
  for (const file of ["static-minilm-256.bin", "vocab.bin"]) {
    const folder = copyOfModel(`short-${file}`);
    writeFileSync(join(folder, file), readFileSync(join(shipped, file)).subarray(0, 100_000));
    await assert.rejects(openBuiltinModel({ folder, someRows: true }), { code: "CHECKSUM_MISMATCH" });
  }
  const folder = join(scratch, "nowhere");
  await assert.rejects(openBuiltinModel({ folder, someRows: true }), { code: "MODEL_NOT_FOUND" });
});

test("texts of like meaning are near, others are not", () => {
  const { vectors } = model.doEmbed(["what does Ada drink?", "Ada prefers tea", "the stock market fell"]);
  assert.ok(cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.2);
});

test("vectors have 256 numbers and unit length, whatever the text", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (texts) => {
      const { vectors } = model.doEmbed(texts);
      assert.equal(vectors.length, texts.length);
      for (const vector of vectors) {
        if (vector === null) continue;
        assert.equal(vector.length, 256);
        assert.ok(Math.abs(cosine(vector, vector) - 1) < 1e-6);
      }
    }),
  );
});

test("a text's vector is the same to the bit alone and in any batch, in the order of the texts", () => {
  const texts = fc.array(fc.lorem({ maxCount: 12 }), { minLength: 1 });
  fc.assert(
    fc.property(texts, (batch) => {
      const together = model.doEmbed(batch).vectors;
      batch.forEach((text, i) => {
        assert.deepEqual(together[i], model.doEmbed([text]).vectors[0]);
      });
    }),
  );
});

test("vectors belong to the caller", () => {
  const [first] = model.doEmbed(["tea"]).vectors;
  const copy = first?.slice();
  first?.fill(0);
  assert.deepEqual(model.doEmbed(["tea"]).vectors[0], copy);
});

test("a text without a known piece has no vector and is wholly unknown", () => {
  const texts = ["你好", "😀 🎉", "", "  \n", "\u0007"];
  const { vectors, unknownShares } = model.doEmbed(texts);
  assert.deepEqual(
    vectors,
    texts.map(() => null),
  );
  assert.deepEqual(
    unknownShares,
    texts.map(() => 1),
  );
});

test("unknown shares count the pieces the vocabulary cannot spell", () => {
  const { unknownShares, tokens } = model.doEmbed(["tea 你好 and cake", "tea"]);
  assert.deepEqual(unknownShares, [2 / 5, 0]);
  assert.equal(tokens, 6);
});

test("unknown pieces leave the direction of the known ones alone", () => {
  const { vectors } = model.doEmbed(["tea 😀", "tea"]);
  assert.deepEqual(vectors[0], vectors[1]);
});

test("tokens are counted without special tokens and without a limit", () => {
  assert.equal(model.countTokens("Ada prefers tea."), 4);
  assert.equal(model.countTokens("tea ".repeat(2000)), 2000);
});

test("the vector of a text is the direction of the sum of its pieces' weights", () => {
  const bytes = readFileSync(join(shipped, "static-minilm-256.bin"));
  const rows = bytes.readUInt32LE(4);
  const sum = new Float64Array(256);
  for (const piece of model.tokenizer.encode("How do I rotate the signing keys?")) {
    const scale = bytes.readFloatLE(16 + piece * 4);
    for (let d = 0; d < 256; d++) sum[d]! += scale * bytes.readInt8(16 + rows * 4 + piece * 256 + d);
  }
  const length = Math.hypot(...sum);
  const [vector] = model.doEmbed(["How do I rotate the signing keys?"]).vectors;
  sum.forEach((value, d) => {
    assert.ok(Math.abs(value / length - vector![d]!) < 1e-6);
  });
});

test("a piece's row has unit length, the unknown piece's none", () => {
  const [tea] = model.tokenizer.encode("tea");
  const row = new Float32Array(model.dimensions);
  assert.equal(model.pieces.leadingRow(tea!, row), true);
  assert.ok(Math.abs(cosine(row, model.doEmbed(["tea"]).vectors[0]) - 1) < 1e-6);
  const leading = new Float32Array(64);
  assert.equal(model.pieces.leadingRow(tea!, leading), true);
  assert.ok(Math.abs(Math.hypot(...leading) - 1) < 1e-6);
  assert.ok(leading.every((value, at) => Math.sign(value) === Math.sign(row[at]!)));
  assert.equal(model.pieces.leadingRow(model.tokenizer.unknownId, leading), false);
});

test("the id names the weights", async () => {
  const folder = copyOfModel("other-weights");
  const table = readFileSync(join(folder, "static-minilm-256.bin"));
  table[table.length - 1]! ^= 1;
  writeFileSync(join(folder, "static-minilm-256.bin"), table);
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  manifest.table.crc32 = crc32(table).toString(16).padStart(8, "0");
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));

  const other = await openBuiltinModel({ folder });
  assert.match(model.id, /^builtin\/static-minilm-256@[0-9a-f]{8}$/);
  assert.match(other.id, /^builtin\/static-minilm-256@[0-9a-f]{8}$/);
  assert.notEqual(other.id, model.id);
});

test("a table with a byte changed, missing or too many is refused", async () => {
  const changed = copyOfModel("changed");
  const table = readFileSync(join(changed, "static-minilm-256.bin"));
  table[table.length >> 1]! ^= 1;
  writeFileSync(join(changed, "static-minilm-256.bin"), table);
  await assert.rejects(openBuiltinModel({ folder: changed }), { code: "CHECKSUM_MISMATCH" });

  const whole = readFileSync(join(shipped, "static-minilm-256.bin"));
  for (const bytes of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.alloc(1)])]) {
    writeFileSync(join(changed, "static-minilm-256.bin"), bytes);
    await assert.rejects(openBuiltinModel({ folder: changed }), { code: "CHECKSUM_MISMATCH" });
  }
});

test("a model without one of its files is not found", async () => {
  for (const file of ["manifest.json", "static-minilm-256.bin", "vocab.bin"]) {
    const folder = copyOfModel(`without-${file}`);
    rmSync(join(folder, file));
    await assert.rejects(openBuiltinModel({ folder }), { code: "MODEL_NOT_FOUND" }, file);
  }
  await assert.rejects(openBuiltinModel({ folder: join(scratch, "nowhere") }), { code: "MODEL_NOT_FOUND" });
});

test("a manifest or table that is something else is unreadable", async () => {
  const folder = copyOfModel("unreadable");
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  for (const text of ["", "null", '{"name":"x"}']) {
    writeFileSync(join(folder, "manifest.json"), text);
    await assert.rejects(openBuiltinModel({ folder }), { code: "FILE_UNREADABLE" }, text);
  }
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ ...manifest, table: manifest.vocabulary }));
  await assert.rejects(openBuiltinModel({ folder }), { code: "FILE_UNREADABLE" });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { type ErrorCode, StrataError } from "../contract/errors.ts";
import { verifyExport } from "./export-format.ts";
import { openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

let folder: string;
let from: Strata;
let to: Strata;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "strata transfer "));
  from = await openMemory({ path: join(folder, "from.db") });
  to = await openMemory({ path: join(folder, "to.db") });
});

afterEach(async () => {
  await from.close();
  await to.close();
  rmSync(folder, { recursive: true });
});

async function lines(memory: Strata, vectors = false): Promise<string[]> {
  return Array.fromAsync(memory.export({ vectors }));
}

async function fill(memory: Strata): Promise<void> {
  const items = Array.from({ length: 300 }, (_, index) => ({
    content: `Fact ${index} about otters.`,
    thread: "facts",
    at: index * 1_000,
    tags: [`t${index % 3}`],
  }));
  await memory.storeMany(items);
  await memory.ingest(
    { name: "guide.md", text: "# Otters\n\n## Food\n\nThey eat fish.\n\n## Sleep\n\nThey hold hands.\n" },
    { importance: 0.7 },
  );
  await memory.recall("fish");
  await memory.flush();
}

function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => StrataError.isInstance(error) && error.code === code;
}

/** What must be the same on the other side. */
async function content(memory: Strata): Promise<unknown[]> {
  const all = [];
  let cursor: string | undefined;
  do {
    const page = await memory.list({ limit: 200, cursor });
    all.push(...page.memories);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return all
    .map(({ id, content, tier, importance, tags, thread, at, source }) => {
      const { documentId, ...place } = source ?? { documentId: "" };
      return { id, content, tier, importance, tags, thread, at, place };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

for (const vectors of [false, true]) {
  test(`an import ${vectors ? "with" : "without"} vectors gives back what was exported`, async () => {
    await fill(from);
    const report = await to.import(await lines(from, vectors));
    assert.equal(report.documents, 1);
    assert.deepEqual(await content(to), await content(from));
    const question = "what do otters eat?";
    const ids = async (memory: Strata): Promise<string[]> =>
      (await memory.recall(question, { touch: false })).hits.map((hit) => hit.memory.id);
    assert.deepEqual(await ids(to), await ids(from));
  });
}

test("an export keeps when memories were made and how often they were used", async () => {
  const { id, createdAt } = await from.store("Used.");
  await from.get(id);
  await to.import(await lines(from));
  assert.partialDeepStrictEqual(await to.get(id), { createdAt, accessCount: 1 });
});

test("a second import stores nothing again", async () => {
  await fill(from);
  const exported = await lines(from);
  const first = await to.import(exported);
  const second = await to.import(exported);
  assert.deepEqual([second.stored, second.existing, second.documents], [0, first.stored, 0]);
});

test("an import into another namespace leaves the first alone", async () => {
  await from.store("one");
  await to.import(await lines(from), { namespace: "other" });
  assert.deepEqual(await to.namespaces(), ["other"]);
});

test("an empty namespace exports and imports as nothing", async () => {
  const exported = await lines(from);
  assert.equal(exported.length, 2);
  assert.equal((await to.import(exported)).stored, 0);
});

suite("a damaged export", () => {
  const damages: readonly (readonly [string, ErrorCode, (whole: string[]) => string[]])[] = [
    ["without its end", "CHECKSUM_MISMATCH", (whole) => whole.slice(0, -1)],
    [
      "with a changed word",
      "CHECKSUM_MISMATCH",
      (whole) => whole.map((line) => line.replace("Fact 7 ", "Fact 8 ")),
    ],
    ["with a line missing", "CHECKSUM_MISMATCH", (whole) => whole.toSpliced(5, 1)],
    ["with a line that is no JSON", "FILE_UNREADABLE", (whole) => whole.toSpliced(5, 0, "{\n")],
    ["without its head", "FILE_UNREADABLE", (whole) => whole.slice(1)],
    [
      "of a newer format",
      "FILE_UNREADABLE",
      (whole) => [whole[0]!.replace('"version":1', '"version":2'), ...whole.slice(1)],
    ],
    ["that is empty", "CHECKSUM_MISMATCH", () => []],
  ];
  for (const [what, code, damage] of damages) {
    test(`${what} is told by ${code}, before anything is stored`, async () => {
      await fill(from);
      await assert.rejects(verifyExport(damage(await lines(from))), withCode(code));
    });
  }

  test("does not leave half a document behind when it is imported all the same", async () => {
    await fill(from);
    const whole = await lines(from);
    await assert.rejects(to.import(whole.slice(0, -2)), withCode("CHECKSUM_MISMATCH"));
    assert.deepEqual((await to.documents()).documents, []);
    assert.deepEqual((await to.search("hands")).hits, []);
  });
});

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { realTexts } from "./real-texts.ts";

const turn = {
  conv: "c",
  id: "D1:1",
  session: 1,
  iso: "2023-05-08T13:56:00",
  speaker: "Ada",
  text: "Hello there.",
};
const abstract = {
  id: "1",
  title: "On wings",
  text: "A wing has a certain lift. A wing has a certain drag.",
};
const files: Readonly<Record<string, readonly object[]>> = {
  "locomo/turns.jsonl": [turn],
  "locomo/questions.jsonl": [{ question: "Who?" }, { question: "Who?" }, { question: "When?" }],
  "scifact/corpus.jsonl": [abstract],
  "scifact/queries.jsonl": [{ text: "Wings lift." }],
  "cranfield/corpus.jsonl": [],
  "longdocs/books.jsonl": [{ text: "Too short.\n\nA paragraph that is long enough." }],
  "longdocs/markdown.jsonl": [],
  "longdocs/source.jsonl": [],
};

function withData<T>(work: (folder: string) => T): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    for (const [name, rows] of Object.entries(files)) {
      await mkdir(join(folder, name, ".."), { recursive: true });
      await writeFile(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    }
    return work(folder);
  });
}

suite("real texts", () => {
  test("turns come first with speaker and time, then sentences, then paragraphs", async () => {
    const { items, real, duplicateRate } = await withData((folder) => realTexts(folder, 4));
    assert.deepEqual(
      items.map(({ content }) => content),
      [
        "Hello there.",
        "A wing has a certain lift.",
        "A wing has a certain drag.",
        "A paragraph that is long enough.",
      ],
    );
    assert.equal(items[0]?.thread, "c/1");
    assert.deepEqual([real, duplicateRate], [4, 0]);
  });

  test("where more are wanted they are recombined, the same every time, and duplicates counted", async () => {
    const [first, second] = await withData(
      (folder) => [realTexts(folder, 200), realTexts(folder, 200)] as const,
    );
    assert.equal(first.items.length, 200);
    assert.equal(first.real, 4);
    assert.ok(first.duplicateRate > 0.5);
    assert.deepEqual(first, second);
  });

  test("questions are distinct", async () => {
    const { questions } = await withData((folder) => realTexts(folder, 1));
    assert.deepEqual(questions, ["Who?", "Wings lift.", "When?"]);
  });
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type CheckedChunk, chunkViolations } from "./chunk-violations.ts";

const words = { limit: 3, count: (text: string) => text.match(/\S+/g)?.length ?? 0 };
const none = { offsets: 0, limit: 0, lost: 0, cut: 0, order: 0 };

function chunk(text: string, number: number, start: number, end: number): CheckedChunk {
  return { content: text.slice(start, end), chunk: number, start, end };
}

suite("violations of chunks", () => {
  const text = "one two three\n\n four 😀 six";

  test("there are none where chunks cover all but white space, overlaps allowed", () => {
    const chunks = [chunk(text, 1, 8, 20), chunk(text, 0, 0, 13), chunk(text, 2, 16, text.length)];
    assert.deepEqual(chunkViolations(text, chunks, words), none);
  });

  test("a chunk that differs from its place is found", () => {
    const chunks = [{ ...chunk(text, 0, 0, 13), content: "one two thre" }, chunk(text, 1, 16, text.length)];
    assert.deepEqual(chunkViolations(text, chunks, words), { ...none, offsets: 1 });
  });

  test("a chunk over the limit and an empty one are found", () => {
    const chunks = [chunk(text, 0, 0, 20), chunk(text, 1, 14, 16), chunk(text, 2, 21, text.length)];
    assert.deepEqual(chunkViolations(text, chunks, words), { ...none, limit: 2 });
  });

  test("text that stands in no chunk is found, at the end too", () => {
    const chunks = [chunk(text, 0, 4, 13)];
    assert.deepEqual(chunkViolations(text, chunks, words), { ...none, lost: 2 });
    assert.deepEqual(chunkViolations(text, [], words), { ...none, lost: 1 });
  });

  test("a cut code point is found", () => {
    const half = text.indexOf("😀") + 1;
    const chunks = [chunk(text, 0, 0, 13), chunk(text, 1, 16, half), chunk(text, 2, half, text.length)];
    assert.deepEqual(chunkViolations(text, chunks, words), { ...none, cut: 2 });
  });

  test("chunks out of order or with a number missing are found", () => {
    const chunks = [chunk(text, 0, 0, 13), chunk(text, 2, 16, text.length)];
    assert.deepEqual(chunkViolations(text, chunks, words), { ...none, order: 1 });
  });
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Memory } from "../contract/memory.ts";
import { charactersAtMost, memoriesAtMost, relatedGroups } from "./hook-groups.ts";

let made = 0;

function memory(fields: Partial<Memory> = {}): Memory {
  made += 1;
  return {
    id: `m${String(made).padStart(5, "0")}`,
    namespace: "n",
    tier: "episodic",
    content: "text",
    contentHash: "",
    importance: 0.5,
    accessCount: 0,
    createdAt: made,
    updatedAt: made,
    lastUsedAt: made,
    tags: [],
    metadata: {},
    pinned: false,
    version: 1,
    ...fields,
  };
}

suite("groups of related memories", () => {
  test("are turns of one thread in the order they were said, and else memories of the same tags", () => {
    const [second, first] = [memory({ thread: "a", at: 2 }), memory({ thread: "a", at: 1 })];
    const [red, alsoRed, blue] = [memory({ tags: ["red", "x"] }), memory({ tags: ["x", "red"] }), memory()];
    assert.deepEqual(relatedGroups([second, red, blue, first, alsoRed]), [
      [red, alsoRed],
      [first, second],
    ]);
  });

  test("are cut to what one call is offered, and nothing is offered alone", () => {
    const many = Array.from({ length: memoriesAtMost + 1 }, () => memory({ thread: "many" }));
    assert.deepEqual(
      relatedGroups(many).map(({ length }) => length),
      [memoriesAtMost],
    );
    const long = "x".repeat(charactersAtMost / 2);
    const four = Array.from({ length: 4 }, () => memory({ thread: "long", content: long }));
    assert.deepEqual(
      relatedGroups(four).map(({ length }) => length),
      [2, 2],
    );
  });

  test("a thread and tags of the same name are not the same", () => {
    assert.deepEqual(relatedGroups([memory({ thread: "a" }), memory({ tags: ["a"] })]), []);
  });
});

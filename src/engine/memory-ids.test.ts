import assert from "node:assert/strict";
import { test } from "node:test";
import { validate, version } from "uuid";
import { MemoryIds } from "./memory-ids.ts";

test("ids are UUIDs of version 7, each greater than the one before, and none made twice", () => {
  const [some, others] = [new MemoryIds(), new MemoryIds()];
  const made = Array.from({ length: 5_000 }, () => some.next());
  assert.deepEqual(made.toSorted(), made);
  assert.equal(new Set([...made, ...Array.from({ length: 5_000 }, () => others.next())]).size, 10_000);
  assert.ok(made.every((id) => validate(id) && version(id) === 7));
  const at = Number.parseInt(made[0]!.replaceAll("-", "").slice(0, 12), 16);
  assert.ok(Math.abs(at - Date.now()) < 60_000);
});

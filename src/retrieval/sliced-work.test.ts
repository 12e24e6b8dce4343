import assert from "node:assert/strict";
import { test } from "node:test";
import type { Work } from "./sealed-postings.ts";
import { SlicedWork } from "./sliced-work.ts";

const never = (): boolean => false;

test("work goes on to its end, and waits for what it gives", async () => {
  const seen: string[] = [];
  function* work(): Work {
    seen.push("begun");
    yield;
    yield new Promise<void>((resolve) => setTimeout(resolve, 1)).then(() => void seen.push("waited"));
    seen.push("done");
  }
  await new SlicedWork(work(), never).run(never);
  assert.deepEqual(seen, ["begun", "waited", "done"]);
});

test("work is told when what it waits for fails, and so is who runs it; whoever hastens it is not", async () => {
  let told: unknown;
  function* work(): Work {
    try {
      yield Promise.reject(new Error("no space left"));
    } catch (error) {
      told = error;
      throw error;
    }
  }
  const sliced = new SlicedWork(work(), never);
  const running = sliced.run(never);
  const hastening = setInterval(() => sliced.hasten(), 0);
  await assert.rejects(running, /no space left/);
  clearInterval(hastening);
  assert.match(String(told), /no space left/);
  sliced.hasten();
});

test("work that is given up ends with what it has to put away", async () => {
  let closed = false;
  function* work(): Work {
    try {
      for (;;) yield;
    } finally {
      closed = true;
    }
  }
  let steps = 0;
  await new SlicedWork(work(), never).run(() => steps++ > 3);
  assert.ok(closed);
});

test("work stands still while it pauses", async () => {
  let [steps, pauses] = [0, true];
  function* work(): Work {
    for (; steps < 3; steps++) yield;
  }
  const sliced = new SlicedWork(work(), () => pauses);
  const running = sliced.run(never);
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    sliced.hasten();
  }
  assert.equal(steps, 0);
  pauses = false;
  await running;
  assert.equal(steps, 3);
});

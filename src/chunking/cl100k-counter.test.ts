import assert from "node:assert/strict";
import { test } from "node:test";
import { loadCl100kCounter } from "./cl100k-counter.ts";
import { loadOptional } from "./readers/optional-package.ts";

test("cl100k counts as its reference does", async () => {
  const counter = await loadCl100kCounter();
  assert.equal(counter.id, "cl100k_base");
  assert.equal(counter.count(""), 0);
  assert.equal(counter.count("tiktoken is great!"), 6);
});

test("the name of a special token in a text is text", async () => {
  const counter = await loadCl100kCounter();
  assert.ok(counter.count("<|endoftext|>") > 1);
});

test("a missing optional package is an error with the command that installs it", async () => {
  const name = "strata-no-such-package";
  await assert.rejects(
    loadOptional(name, "Testing", () => import(name)),
    {
      code: "MISSING_PACKAGE",
      message: /npm install strata-no-such-package/,
    },
  );
});

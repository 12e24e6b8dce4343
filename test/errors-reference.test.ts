import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { errorsReference } from "../scripts/errors-reference.ts";
import { root } from "../scripts/repository.ts";
import { errorTable } from "../src/contract/errors.ts";

test("the errors reference tells exactly what the table of codes holds", () => {
  const written = readFileSync(join(root, "docs/reference/errors.md"), "utf8");
  assert.equal(written, errorsReference(), "run `npm run docs:errors`");
});

test("codes of one exit code stand together in the table", () => {
  const groups = Object.values(errorTable).map((kind) => kind.exitCode);
  assert.deepEqual(
    groups,
    groups.toSorted((a, b) => a - b),
  );
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { commandReference } from "../scripts/command-reference.ts";
import { root } from "../scripts/repository.ts";

test("the command line's reference tells exactly what --help does", async () => {
  const written = readFileSync(join(root, "docs/reference/cli.md"), "utf8");
  assert.equal(written, await commandReference(), "run `npm run docs:cli`");
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { configurationReference } from "../scripts/configuration-reference.ts";
import { root } from "../scripts/repository.ts";

test("the configuration reference tells exactly what the table of settings holds", () => {
  const written = readFileSync(join(root, "docs/reference/configuration.md"), "utf8");
  assert.equal(written, configurationReference(), "run `npm run docs:config`");
});

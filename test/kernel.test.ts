import assert from "node:assert/strict";
import { test } from "node:test";
import { compileKernel } from "../scripts/compile-kernel.ts";
import { dotKernel } from "../src/retrieval/kernels/dot-kernel.ts";

test("the kernel that is shipped is what its source compiles to", async () => {
  assert.equal(await compileKernel(), dotKernel);
});

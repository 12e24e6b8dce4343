import assert from "node:assert/strict";
import { test } from "node:test";
import { compileKernel, kernels } from "../scripts/compile-kernel.ts";
import { rowsKernel } from "../src/embedding/models/kernels/rows-kernel.ts";
import { dotKernel } from "../src/retrieval/kernels/dot-kernel.ts";

test("the kernels that are shipped are what their sources compile to", async () => {
  assert.deepEqual(await Promise.all(kernels.map(compileKernel)), [dotKernel, rowsKernel]);
});

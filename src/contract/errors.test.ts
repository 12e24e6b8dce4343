import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { errorTable, StrataError } from "./errors.ts";

suite("StrataError", () => {
  test("carries what its code means", () => {
    const error = new StrataError("DISK_FULL", "No room for 3 entries.", { details: { entries: 3 } });
    assert.equal(error.code, "DISK_FULL");
    assert.equal(error.retryable, true);
    assert.equal(error.httpStatus, 507);
    assert.equal(error.exitCode, 5);
    assert.deepEqual(error.details, { entries: 3 });
    assert.ok(error instanceof Error);
  });

  test("keeps its cause", () => {
    const cause = new Error("below");
    assert.equal(new StrataError("INTERNAL", "above", { cause }).cause, cause);
    assert.ok(!("cause" in new StrataError("INTERNAL", "above")));
  });

  test("is recognised across copies of the package by its marker, not by its class", async () => {
    const copy: typeof import("./errors.ts") = await import(`./errors.ts?${"copy"}`);
    assert.notEqual(copy.StrataError, StrataError);
    assert.ok(StrataError.isInstance(new copy.StrataError("CLOSED", "closed")));
  });

  for (const value of [null, undefined, "CLOSED", { code: "CLOSED" }, new Error("CLOSED")]) {
    test(`takes ${String(value)} for no error of Strata`, () => assert.ok(!StrataError.isInstance(value)));
  }

  test("every code has a meaning in a sentence, an HTTP status of an error and an exit code", () => {
    for (const [code, kind] of Object.entries(errorTable)) {
      assert.match(kind.meaning, /^[A-Z].*\.$/, code);
      assert.ok(kind.httpStatus >= 400 && kind.httpStatus < 600, code);
      assert.ok(kind.exitCode >= 1 && kind.exitCode <= 8, code);
    }
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatTable } from "./table.ts";
import { columnsOf, oneLine, printable, truncate, wrap } from "./terminal-text.ts";

describe("text on a terminal", () => {
  test("a memory cannot move the cursor, recolour or reorder what a person reads", () => {
    assert.equal(printable("a\u001b[2Jb\u0007c\u009b31md\u202ee"), "a\ufffd[2Jb\ufffdc\ufffd31md\ufffde");
    assert.equal(printable("one\r\ntwo\n\tthree"), "one\ntwo\n\tthree");
    assert.equal(oneLine("  one\r\n two\u0000 "), "one two\ufffd");
  });

  test("what is too long ends in an ellipsis", () => {
    assert.equal(truncate("short", 5), "short");
    assert.equal(truncate("a longer text", 8), "a longe…");
    assert.equal(truncate("日本語の文", 6), "日本…");
    assert.equal(truncate("👩‍🚀", 1), "…");
  });

  test("lines are cut at spaces where there are any", () => {
    assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
    assert.deepEqual(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert.deepEqual(wrap("one two three four", 7, 2), ["one two", "three…"]);
    assert.deepEqual(wrap("  ", 7), []);
  });

  test("no line is too long and no character is lost, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 2, max: 30 }), (text, columns) => {
        const lines = wrap(text, columns);
        for (const line of lines) assert.ok(columnsOf(line) <= columns);
        assert.equal(lines.join("").replace(/\s/gu, ""), text.replace(/\s/gu, ""));
        assert.ok(columnsOf(truncate(text, columns)) <= columns);
      }),
    );
  });
});

describe("tables", () => {
  test("columns line up under their heads, figures at their right", () => {
    const columns = [{ head: "tier" }, { head: "entries", right: true }];
    const rows = [
      ["working", "3"],
      ["semantic", "12,000"],
    ];
    assert.equal(
      formatTable(columns, rows, (line) => `<${line}>`),
      ["<tier      entries>", "working         3", "semantic   12,000"].join("\n"),
    );
  });
});

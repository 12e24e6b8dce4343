import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLifetime,
  formatTime,
  ordinal,
  plural,
} from "./units.ts";

function shows<T>(format: (value: T) => string, cases: readonly (readonly [T, string])[]): void {
  for (const [value, expected] of cases) assert.equal(format(value), expected);
}

describe("units", () => {
  test("counts have commas between thousands", () => {
    shows(formatCount, [
      [0, "0"],
      [999, "999"],
      [1_000, "1,000"],
      [1_234_567.4, "1,234,567"],
    ]);
    assert.equal(plural(1, "entry", "entries"), "1 entry");
    assert.equal(plural(2_000, "chunk"), "2,000 chunks");
  });

  test("bytes have two significant digits", () => {
    shows(formatBytes, [
      [0, "0 B"],
      [999, "999 B"],
      [1_000, "1.0 kB"],
      [9_949, "9.9 kB"],
      [9_951, "10 kB"],
      [999_600, "1.0 MB"],
      [34_000_000, "34 MB"],
      [2e15, "2000 TB"],
    ]);
  });

  test("durations read as people say them", () => {
    shows(formatDuration, [
      [0.4249, "0.42 ms"],
      [3.14, "3.1 ms"],
      [12.4, "12 ms"],
      [999.7, "1.0 s"],
      [59_940, "59.9 s"],
      [125_000, "2 min 5 s"],
    ]);
    shows(formatLifetime, [
      [0, "for ever"],
      [900, "15 min"],
      [3_600, "1 h"],
      [604_800, "7 d"],
      [61, "61 s"],
    ]);
  });

  test("times are in UTC, to the minute", () => {
    assert.equal(formatTime(Date.UTC(2026, 0, 31, 8, 5, 59)), "2026-01-31 08:05");
  });

  test("places read as ordinals", () => {
    shows(ordinal, [
      [1, "1st"],
      [2, "2nd"],
      [3, "3rd"],
      [4, "4th"],
      [11, "11th"],
      [112, "112th"],
      [122, "122nd"],
      [1_001, "1,001st"],
    ]);
  });
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { readTimeRange } from "./time-range.ts";

/** A Wednesday. */
const now = Date.UTC(2023, 5, 14, 15, 30);

function days(question: string): string | undefined {
  const range = readTimeRange(question, now);
  const day = (time: number): string =>
    Math.abs(time) === 8.64e15 ? "" : new Date(time).toISOString().slice(0, 10);
  return range && `${day(range.from)}..${day(range.to)}`;
}

suite("the time a question names", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["what did Ada do last week?", "2023-06-05..2023-06-12"],
    ["what did we decide in May 2023", "2023-05-01..2023-06-01"],
    ["what happened on 8 May 2023?", "2023-05-08..2023-05-09"],
    ["What happened on May 8th, 2023?", "2023-05-08..2023-05-09"],
    ["plans of 2023-05-08", "2023-05-08..2023-05-09"],
    ["what happened in December?", "2022-12-01..2023-01-01"],
    ["on the 20th of June", "2022-06-20..2022-06-21"],
    ["what was said yesterday", "2023-06-13..2023-06-14"],
    ["the day before yesterday", "2023-06-12..2023-06-13"],
    ["today's plans", "2023-06-14..2023-06-15"],
    ["two months ago", "2023-04-01..2023-05-01"],
    ["three days ago", "2023-06-11..2023-06-12"],
    ["in the last 3 weeks", "2023-05-25..2023-06-15"],
    ["last weekend", "2023-06-10..2023-06-12"],
    ["what did Ben say on Monday?", "2023-06-12..2023-06-13"],
    ["last Wednesday", "2023-06-07..2023-06-08"],
    ["the trips in 2022", "2022-01-01..2023-01-01"],
    ["what changed since May?", "2023-05-01.."],
    ["who left before 8 May 2023?", "..2023-05-08"],
    ["everything after yesterday", "2023-06-14.."],
    ["from 3 May 2023 to 8 May 2023", "2023-05-03..2023-05-09"],
    ["between March 2022 and May 2022", "2022-03-01..2022-06-01"],
    ["what may Ada drink on the march?", undefined],
    ["31 June 2023", "2023-06-01..2023-07-01"],
    ["the last one", undefined],
    ["order 2023 and room 1984", undefined],
    ["", undefined],
  ];
  for (const [question, expected] of cases) {
    test(`"${question}" is ${expected ?? "no time"}`, () => assert.equal(days(question), expected));
  }

  test("tells the words that name it", () => {
    assert.equal(readTimeRange("Where was Ada since last Monday?", now)?.words, "since last Monday");
  });

  test("any text gives nothing or a range that is not empty", () => {
    const word = fc.constantFrom(
      "last",
      "2",
      "two",
      "May",
      "2023",
      "week",
      "days",
      "ago",
      "since",
      "of",
      "99",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 12 }), (words) => {
        const range = readTimeRange(words.join(" "), now);
        assert.ok(range === undefined || range.from < range.to);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { contextText, dayInWords, vectorText } from "./index-text.ts";

const at = Date.UTC(2023, 4, 8, 13, 56);
const turn = { content: "Booked for the 7th.", speaker: "Ada", thread: "trip", at };

suite("index texts", () => {
  test("a day is written as people write it, in UTC", () => {
    assert.equal(dayInWords(Date.UTC(2023, 4, 8, 23, 59)), "8 May, 2023");
  });

  test("a turn's context is its day, the turns before it and its speaker", () => {
    const previous = [
      { content: "Shall we?", speaker: "Ben" },
      { content: "Yes", speaker: "Ada" },
    ];
    assert.equal(contextText(turn, previous), "8 May, 2023 Ben: Shall we?. Ada: Yes. Ada:");
  });

  test("a turn is embedded with its day and speaker, without its neighbours", () => {
    assert.equal(vectorText(turn), "8 May, 2023 Ada: Booked for the 7th.");
  });

  test("a note that is no turn is embedded as it stands, its time left out", () => {
    assert.equal(vectorText({ content: "Ada prefers tea", at }), "Ada prefers tea");
    assert.equal(contextText({ content: "Ada prefers tea", at }, []), "");
  });

  test("a chunk stands under its document's title and headings", () => {
    const chunk = { content: "Run it twice.", source: { title: "Keys", headings: ["Rotation", "Steps"] } };
    assert.equal(contextText(chunk, []), "Keys\nRotation\nSteps");
    assert.equal(vectorText(chunk), "Keys\nRotation\nSteps\nRun it twice.");
    assert.equal(vectorText({ content: "Run it twice.", source: { headings: [] } }), "Run it twice.");
  });

  test("a title that is the first heading too is said once", () => {
    assert.equal(
      contextText({ content: "x", source: { title: "Keys", headings: ["Keys", "Loss"] } }, []),
      "Keys\nLoss",
    );
  });
});

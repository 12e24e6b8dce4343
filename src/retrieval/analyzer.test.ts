import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createAnalyzer } from "./analyzer.ts";
import { stopMark } from "./term-table.ts";

const { terms, visit } = createAnalyzer();

test("words are lower-cased and stemmed, stop words are gone", () => {
  assert.deepEqual(terms("The Cats were running to the houses"), ["cat", "run", "hous"]);
});

test("an identifier is found whole and by its parts", () => {
  assert.deepEqual(terms("node:sqlite"), ["node:sqlite", "node", "sqlite"]);
  assert.deepEqual(terms("ERR_FOO"), ["err_foo", "err", "foo"]);
  assert.deepEqual(terms("v1.2.3"), ["v1.2.3", "v1", "2", "3"]);
  assert.deepEqual(terms("parseHTTPHeader"), ["parsehttphead", "pars", "http", "header"]);
});

test("words of one and two letters are kept, and acronyms that look like stop words", () => {
  assert.deepEqual(terms("C, Go and R in IT"), ["c", "go", "r", "it"]);
});

test("an English contraction is its word", () => {
  assert.deepEqual(terms("Ada's tea isn’t hot, O'Brien"), ["ada", "tea", "hot", "o'brien", "o", "brien"]);
});

test("a script without spaces gives characters and pairs, so that a shorter phrase is a run of a longer one", () => {
  assert.deepEqual(terms("我喜欢"), ["我", "我喜", "喜", "喜欢", "欢"]);
  assert.ok(terms("我喜欢喝茶").join(" ").includes(terms("喜欢").join(" ")));
  assert.deepEqual(terms("ノートPC"), [...terms("ノート"), "pc"]);
});

test("accents, width and case make no difference", () => {
  assert.deepEqual(terms("Café ＮＯＤＥ Ёлка"), terms("cafe node елка"));
});

test("a word's place is where it stands in the text", () => {
  const text = "Ada: node:sqlite, 茶を飲む — Ｆｏｏ";
  visit(text, (term, _stop, start, end) => {
    const again: string[] = [];
    visit(text.slice(start, end), (each) => again.push(each));
    assert.ok(again.includes(term), `${term} at ${start}`);
  });
});

test("whatever comes gives terms without white space, each at most 64 units", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      for (const term of terms(text)) {
        assert.ok(term.length > 0 && term.length <= 64);
        assert.doesNotMatch(term, /\s/u);
      }
    }),
  );
  assert.deepEqual(terms(""), []);
  assert.deepEqual(terms("\u0300"), []);
  assert.deepEqual(terms("\0 \u{1F600} \"' ((("), []);
  assert.equal(terms("x".repeat(100_000))[0]?.length, 64);
});

test("the same text gives the same terms after many others", () => {
  const fresh = createAnalyzer();
  const before = fresh.terms("Remarkable constellations of parseHTTPHeader");
  for (let i = 0; i < 100_000; i++) fresh.terms(`word${i}`);
  assert.deepEqual(fresh.terms("Remarkable constellations of parseHTTPHeader"), before);
});

test("a text of ASCII alone has the terms it has beside other letters", () => {
  const ascii = fc.string({ unit: "binary-ascii", maxLength: 60 });
  fc.assert(
    fc.property(ascii, (text) => {
      assert.deepEqual(terms(`${text} ж`), [...terms(text), ...terms("ж")]);
    }),
  );
});

test("a text is read the same whether it is ASCII or not, and whatever was read before", () => {
  const token = fc.string({ unit: fc.constantFrom(..."aBc1 .-_:'@,"), maxLength: 60 });
  fc.assert(
    fc.property(token, (text) => {
      assert.deepEqual(terms(`${text} é`), [...terms(text), "e"]);
    }),
  );
  // More tokens than are remembered, some of them met again while others are forgotten.
  for (let i = 0; i < 160_000; i++) {
    const token = `w${(i * 7_919) % 140_000}x`;
    assert.deepEqual(terms(token), [token]);
  }
});

test("a reader of terms may read another text meanwhile", () => {
  const found: string[] = [];
  visit("tea and coffee", (term, stop) => {
    terms("quite another text that is longer than the first");
    if (!stop) found.push(term);
  });
  assert.deepEqual(found, terms("tea and coffee"));
});

test("a text read by numbers has the terms that a visit tells, whatever was read before", () => {
  const { read, visit } = createAnalyzer();
  const same = (text: string): void => {
    const told: string[] = [];
    visit(text, (term, stop) => told.push(stop ? stopMark + term : term));
    const reading = read(text);
    const numbered = Array.from(reading.codes.subarray(0, reading.size), (code) => reading.term(code >> 1));
    assert.deepEqual(numbered, told);
  };
  const texts = fc.string({ unit: fc.constantFrom(..."aBthe1 .-_:'@漢字é\u0301"), maxLength: 60 });
  fc.assert(fc.property(texts, same));
  // More tokens than are remembered: in one text, and in many.
  same(Array.from({ length: 140_000 }, (_, i) => `the-${i % 3 === 0 ? "é" : ""}${i}`).join(" "));
  for (let i = 0; i < 120_000; i += 50) same(Array.from({ length: 50 }, (_, j) => `w${i + j}`).join(" the "));
});

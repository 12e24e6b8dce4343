import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Chunk, TokenCounter } from "../../contract/chunk.ts";
import type { DocumentKind } from "../document-kind.ts";
import { type SplitOptions, splitStream, splitText } from "./split-text.ts";

/** Words and single marks, an ideograph each, as word-piece counters do. */
const words: TokenCounter = {
  id: "words",
  count: (text) => text.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)?.length ?? 0,
};

/** Counts that do not add up: less by parts than as a whole. */
const grumpy: TokenCounter = { id: "grumpy", count: (text) => Math.ceil(text.length ** 1.1 / 3) };

const units: TokenCounter = { id: "units", count: (text) => text.length };

function split(text: string, options: Partial<SplitOptions> = {}): Chunk[] {
  return [...splitText(text, { kind: "text", counter: words, overlapTokens: 0, ...options })];
}

function assertFaithful(text: string, chunks: readonly Chunk[], options: Partial<SplitOptions> = {}): void {
  const { counter = words, chunkTokens = 512, overlapTokens = 0 } = options;
  let end = 0;
  let start = -1;
  for (const chunk of chunks) {
    assert.equal(text.slice(chunk.start, chunk.end), chunk.text);
    assert.equal(counter.count(chunk.text), chunk.tokens);
    assert.ok(chunk.tokens <= chunkTokens, `${chunk.tokens} tokens of ${chunkTokens}`);
    assert.match(chunk.text, /\S/);
    assert.ok(chunk.start > start && chunk.end > end, "every chunk makes progress");
    if (chunk.start >= end) assert.equal(text.slice(end, chunk.start).trim(), "");
    else assert.ok(counter.count(text.slice(chunk.start, end)) <= overlapTokens);
    assert.ok(!isLow(text, chunk.start) && !isLow(text, chunk.end), "no code point is cut");
    ({ start, end } = chunk);
  }
  assert.equal(text.slice(end).trim(), "");
}

function isLow(text: string, at: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1)) && at > 0;
}

const sentences = (count: number): string =>
  Array.from({ length: count }, (_, index) => `Sentence number ${index} says one thing.`).join(" ");

test("a short text is one chunk", () => {
  assert.deepEqual(split("  Ada prefers tea.\n"), [
    { text: "Ada prefers tea.", start: 2, end: 18, tokens: 4, headings: [] },
  ]);
});

test("white space alone gives no chunk", () => {
  assert.deepEqual(split(""), []);
  assert.deepEqual(split(" \n\t\u3000\r\n"), []);
});

test("chunks end at sentence ends", () => {
  const text = sentences(40);
  const chunks = split(text, { chunkTokens: 30 });
  assertFaithful(text, chunks, { chunkTokens: 30 });
  for (const chunk of chunks) assert.match(chunk.text, /^Sentence.*thing\.$/);
});

test("a paragraph's end is a better place than a later sentence's", () => {
  const text = `${sentences(3)}\n\n${sentences(6)}`;
  assert.equal(split(text, { chunkTokens: 40 })[0]!.text, sentences(3));
});

test("overlap repeats whole sentences within its limit", () => {
  const text = sentences(40);
  const options = { chunkTokens: 40, overlapTokens: 10 };
  const chunks = split(text, options);
  assertFaithful(text, chunks, options);
  for (const [index, chunk] of chunks.entries()) {
    if (index === 0) continue;
    const shared = text.slice(chunk.start, chunks[index - 1]!.end);
    assert.match(shared, /^Sentence number \d+ says one thing\.$/);
  }
});

test("overlap is counted as a whole, not as the sum of its sentences", () => {
  const perSpan: TokenCounter = {
    id: "per-span",
    count: (text) => words.count(text) + (text.length > 60 ? 5 : 0),
  };
  const text = sentences(40);
  const options = { counter: perSpan, chunkTokens: 60, overlapTokens: 15 };
  assertFaithful(text, split(text, options), options);
});

test("version numbers, abbreviations and initials stay whole", () => {
  const text = "Use v1.2.3 now. Dr. Smith met J. R. Hartley, e.g. on Monday. ".repeat(20).trim();
  const chunks = split(text, { chunkTokens: 30 });
  assertFaithful(text, chunks, { chunkTokens: 30 });
  for (const { text: each } of chunks) {
    assert.match(each, /^(?:Use|Dr)\b.*(?:now|Monday)\.$/);
  }
});

test("Chinese breaks at its own sentence ends", () => {
  const text = "黛玉听了，心中暗喜。宝玉笑道：“你来了！”说着便坐下。".repeat(30);
  const chunks = split(text, { chunkTokens: 50 });
  assertFaithful(text, chunks, { chunkTokens: 50 });
  for (const { text: each } of chunks) assert.match(each, /[。”]$/);
});

test("Russian breaks at its own sentence ends", () => {
  const text = "Он вошёл в комнату. Анна Петровна, т.е. его тётка, молчала! Что же дальше? "
    .repeat(20)
    .trim();
  const chunks = split(text, { chunkTokens: 30 });
  assertFaithful(text, chunks, { chunkTokens: 30 });
  for (const { text: each } of chunks) assert.match(each, /[.!?]$/);
});

test("user-perceived characters stay whole in a text without spaces", () => {
  const family = "👩‍👩‍👧‍👦";
  const text = `${family}e\u0301🇩🇪`.repeat(200);
  const options = { counter: units, chunkTokens: 40 };
  const chunks = split(text, options);
  assertFaithful(text, chunks, options);
  const boundaries = new Set([...new Intl.Segmenter().segment(text)].map((each) => each.index));
  for (const chunk of chunks) assert.ok(boundaries.has(chunk.start), `cut at ${chunk.start}`);
});

test("a character wider than the limit is cut between code points", () => {
  const text = "👩‍👩‍👧‍👦".repeat(3);
  const options = { counter: units, chunkTokens: 4 };
  assertFaithful(text, split(text, options), options);
});

test("a limit that holds no code point is refused", () => {
  assert.throws(() => split("😀", { counter: units, chunkTokens: 1 }), { code: "INVALID_ARGUMENT" });
});

test("a word of megabytes that counts as one token is cut all the same", () => {
  const one: TokenCounter = { id: "one", count: (text) => text.trim().split(/\s+/).length };
  const text = "x".repeat(1_000_000);
  const chunks = split(text, { counter: one, chunkTokens: 100 });
  assertFaithful(text, chunks, { counter: one, chunkTokens: 100 });
  assert.ok(Math.max(...chunks.map((chunk) => chunk.text.length)) <= 3_300);
});

test("Markdown chunks carry the headings above them and end before the next", () => {
  const text = `# Guide\n\n${sentences(6)}\n\n## Install\n\n${sentences(12)}\n\nUse\n---\n${sentences(6)}\n`;
  const chunks = split(text, { kind: "markdown", chunkTokens: 50, minChunkTokens: 5 });
  assertFaithful(text, chunks, { chunkTokens: 50 });
  assert.deepEqual(
    chunks.map((chunk) => [chunk.text.split("\n")[0]!.slice(0, 12), ...chunk.headings]),
    [["# Guide"], ["## Install", "Guide"], ["Sentence num", "Guide", "Install"], ["Use", "Guide"]].map(
      (row) => row,
    ),
  );
});

test("nothing in code fences, comments, front matter or indented code is a heading", () => {
  const fenced = "## Real\n\n```sh\n# not one\n~~~\n# nor this\n```\n\n";
  const others =
    "<!--\n# hidden\n-->\n\n    # indented\n\n- item\n\n  ```\n  # in a list\n  ```\n\n~~~~\n```\n# x\n~~~~\n\n";
  const text = `---\ntitle: T\n# yaml\n---\n${fenced}${others}${sentences(9)}`;
  const last = split(text, { kind: "markdown", chunkTokens: 40, minChunkTokens: 1 }).at(-1)!;
  assert.deepEqual(last.headings, ["Real"]);
});

test("a thematic break, a table and a list are no setext heading; two lines with an underline are one", () => {
  const text = `Plain\n\n---\n\n| a |\n|---|\n- item\n---\n\nTwo *line*\n[heading](x)\n===\n\n${sentences(9)}`;
  const last = split(text, { kind: "markdown", chunkTokens: 30, minChunkTokens: 1 }).at(-1)!;
  assert.deepEqual(last.headings, ["Two line heading"]);
});

test("a heading stays with what it stands above", () => {
  const text = `${sentences(5)}\n\n### Heading\n\n${sentences(8)}`;
  for (const chunkTokens of [37, 38, 39, 40]) {
    for (const chunk of split(text, { kind: "markdown", chunkTokens, minChunkTokens: chunkTokens })) {
      assert.doesNotMatch(chunk.text, /Heading$/);
    }
  }
});

test("no overlap reaches across a heading", () => {
  const text = `## A\n\n${sentences(6)}\n\n## B\n\n${sentences(6)}`;
  const chunks = split(text, { kind: "markdown", chunkTokens: 60, overlapTokens: 20, minChunkTokens: 1 });
  assert.deepEqual(
    chunks.map((chunk) => chunk.text.slice(0, 4)),
    ["## A", "## B"],
  );
});

test("code breaks before declarations, with their comments and indentation", () => {
  const one = (name: string): string =>
    `// About ${name}.\nfunction ${name}() {\n  const x = call(1);\n\n  return x + 1;\n}\n`;
  const text = ["alpha", "beta", "gamma", "delta"].map(one).join("\n");
  const options = { kind: "code" as DocumentKind, chunkTokens: 60 };
  const chunks = split(text, options);
  assertFaithful(text, chunks, options);
  for (const chunk of chunks) assert.match(chunk.text, /^\/\/ About[\s\S]*\}$/);
});

test("Python breaks before a decorator, not between it and its function", () => {
  const one = (name: string): string =>
    `@route("/${name}")\ndef ${name}(request):\n    return render(request)\n`;
  const text = ["alpha", "beta", "gamma", "delta"].map(one).join("");
  const chunks = split(text, { kind: "code", chunkTokens: 40 });
  assert.ok(chunks.length > 1);
  for (const chunk of chunks) assert.match(chunk.text, /^@route[\s\S]*\)$/);
});

test("JSON Lines break between records, minified JSON after commas", () => {
  const records = Array.from({ length: 20 }, (_, id) => JSON.stringify({ id, name: "some name. More." }));
  for (const chunk of split(records.join("\n"), { kind: "jsonl", chunkTokens: 60 })) {
    for (const line of chunk.text.split("\n")) assert.doesNotThrow(() => JSON.parse(line));
  }
  const minified = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, word: `w${id}` })));
  const chunks = split(minified, { kind: "json", chunkTokens: 60 });
  assertFaithful(minified, chunks, { chunkTokens: 60 });
  for (const chunk of chunks.slice(0, -1)) assert.match(chunk.text, /,$/);
});

test("by tokens, chunks are as full as they can be", () => {
  const text = `${sentences(3)}\n\n${sentences(60)}`;
  const chunks = split(text, { chunkTokens: 50, method: "tokens" });
  assertFaithful(text, chunks, { chunkTokens: 50 });
  for (const chunk of chunks.slice(0, -1)) assert.ok(chunk.tokens >= 44, `${chunk.tokens}`);
});

test("old line ends are no part of a chunk's edges", () => {
  const text = "First line.\r\n\r\nSecond line.\r\n".repeat(10);
  const chunks = split(text, { chunkTokens: 6 });
  assertFaithful(text, chunks, { chunkTokens: 6 });
  for (const chunk of chunks) assert.equal(chunk.text, chunk.text.trim());
});

test("wrong options are named", () => {
  for (const options of [
    { chunkTokens: 0 },
    { chunkTokens: Number.NaN },
    { chunkTokens: 10, overlapTokens: 10 },
    { overlapTokens: -1 },
    { chunkTokens: 10, minChunkTokens: 11 },
    { method: "magic" as "auto" },
  ]) {
    assert.throws(() => split("text", options), { code: "INVALID_ARGUMENT" });
  }
});

const unit = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("word", "a", "v1.2.3", "Он", "вошёл", "红楼梦", "。", "，", "e.g."),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom(" ", " ", "\n", "\n\n", "\r\n", "\t", "    ", "  \n", "\u3000", "\u00a0"),
  },
  { weight: 2, arbitrary: fc.constantFrom(". ", "! ", "? ", ", ", "; ", "… ", "--") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "# ",
      "\n## H\n",
      "\n```\n",
      "\n---\n",
      "\n===\n",
      "- ",
      "> ",
      "<!--",
      "-->",
      "{",
      "}",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("👩‍👩‍👧‍👦", "e\u0301", "🇩🇪", "\u0301", "\u200d", "\ufeff", "\0", "😀"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("x".repeat(300), " ".repeat(400), "红".repeat(200), "<|endoftext|>"),
  },
);
const anyText = fc.array(unit, { maxLength: 120 }).map((parts) => parts.join(""));
const anyOptions = fc
  .record({
    kind: fc.constantFrom<DocumentKind>("text", "markdown", "code", "json", "jsonl", "html"),
    method: fc.constantFrom("auto" as const, "tokens" as const, "recursive" as const),
    counter: fc.constantFrom(words, units, grumpy),
    chunkTokens: fc.integer({ min: 4, max: 80 }),
    overlap: fc.double({ min: 0, max: 0.9, noNaN: true }),
  })
  .map(({ overlap, ...rest }) => ({ ...rest, overlapTokens: Math.floor(rest.chunkTokens * overlap) }));

test("for any text: exact offsets, nothing lost, no chunk over the limit, overlap within its own", () => {
  fc.assert(
    fc.property(anyText, anyOptions, (text, options) => {
      assertFaithful(text, split(text, options), options);
    }),
    { numRuns: 400 },
  );
});

test("for any text and any parts: the stream gives the chunks of the whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyText,
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 70_000 }),
      anyOptions,
      async (text, times, partLength, options) => {
        const long = text.repeat(Math.min(times, Math.ceil(150_000 / (text.length + 1))));
        const chunks: Chunk[] = [];
        for await (const chunk of splitStream(parts(long, Math.max(partLength, long.length >> 9)), options))
          chunks.push(chunk);
        assert.deepEqual(chunks, split(long, options));
      },
    ),
    { numRuns: 40 },
  );
});

test("where the text is handed on does not show: shifted by any length, inner chunks stay the same", () => {
  const body = `# Title\n\n${"Some words, and more. 红楼梦。\n\n    code line\n".repeat(3000)}`;
  const shift = "\n".repeat(1_000);
  const options = { kind: "markdown" as DocumentKind, chunkTokens: 60, overlapTokens: 10 };
  const plain = split(body, options);
  for (const length of [0, 1, 517, 999]) {
    const moved = split(shift.slice(0, length) + body, options);
    assert.deepEqual(
      moved.map((chunk) => [chunk.start - length, chunk.text]),
      plain.map((chunk) => [chunk.start, chunk.text]),
    );
  }
});

test("a stream of any length is split in bounded memory, even where nothing counts", async () => {
  const part = "x".repeat(65_536);
  for (const counter of [units, { id: "nothing", count: () => 0 }]) {
    let asked = 0;
    const endless = async function* (): AsyncGenerator<string> {
      for (; asked < 40; asked += 1) yield part;
    };
    for await (const chunk of splitStream(endless(), { kind: "text", counter })) {
      assert.ok(asked * part.length - chunk.end < 3 * part.length, "what is held is a few parts");
    }
  }
});

async function* parts(text: string, length: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length);
}

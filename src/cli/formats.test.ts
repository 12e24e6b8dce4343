import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import picocolors from "picocolors";
import type { Memory } from "../contract/memory.ts";
import type { Explanation, Hit, HitExplanation } from "../contract/recall.ts";
import type { IngestReport } from "../engine/ingest-options.ts";
import { defaultRanking } from "../retrieval/ranking-options.ts";
import { shownDocument } from "./document-names.ts";
import { explainAnswer, explainHit } from "./format-explanation.ts";
import { formatHits } from "./format-hits.ts";
import { formatIngest, ingestWarnings } from "./format-ingest.ts";
import { evictionWarning, formatMemory, memoryLine, originOf } from "./format-memory.ts";
import { recallJson } from "./json-shapes.ts";
import { ProgressLine } from "./progress-line.ts";

const plain = picocolors.createColors(false);
const day = Date.UTC(2026, 4, 8);

const note: Memory = {
  id: "note-1",
  namespace: "default",
  tier: "long_term",
  content: "Ada prefers tea",
  contentHash: "00",
  importance: 0.8,
  accessCount: 1,
  createdAt: day,
  updatedAt: day,
  lastUsedAt: day,
  tags: ["ada"],
  metadata: {},
  pinned: false,
  version: 1,
};

const chunk: Memory = {
  ...note,
  id: "chunk-1",
  tier: "semantic",
  importance: 0.5,
  tags: [],
  content: `${"Something else stands here first. ".repeat(8)}Then comes the write-ahead log.`,
  source: {
    documentId: "d",
    uri: "docs/store.md",
    headings: ["Store", "Log"],
    chunk: 2,
    start: 100,
    end: 403,
  },
};

const why: HitExplanation = {
  vector: { raw: 0.71, normalized: 0.9, rank: 2 },
  keyword: { raw: 8.3, normalized: 1, rank: 1 },
  late: { raw: 4.2, normalized: 0.5, rank: 3 },
  matchedTerms: ["tea"],
  contextTerms: ["ada"],
  fused: 1.05,
  bonuses: { importance: 0.02, recency: 0, access: 0, speaker: 0.1, time: 0 },
};

const explanation: Explanation = {
  mode: "hybrid",
  terms: { used: ["ada", "tea"], unknown: ["the"] },
  weights: { vector: 0.5, keyword: 0.5, late: 0.2 },
  unknownShare: 0.25,
  candidates: { vector: 100, keyword: 34, late: 30, fused: 104 },
  path: { vector: "exact", keyword: "memory" },
  dropped: [{ reason: "under the least score", count: 3 }],
  stages: [
    { name: "embed", ms: 0.2 },
    { name: "rank", ms: 1.1 },
  ],
  ranking: "abc",
  time: { from: day, to: day + 7 * 86_400_000, words: "last week" },
  request: {
    verb: "recall",
    namespace: "home",
    question: "what did Ada drink last week?",
    options: { limit: 10, now: day },
    ranking: defaultRanking,
    model: "builtin",
  },
};

describe("hits", () => {
  test("a hit shows its place, score, origin, text and facts", () => {
    const shown = formatHits(
      { hits: [{ memory: note, score: 0.9 }] },
      { width: 80, full: false, style: plain, cwd: "/home" },
    );
    assert.equal(
      shown,
      [
        "1. 0.900",
        "   Ada prefers tea",
        "   long_term · 2026-05-08 00:00 · importance 0.8 · #ada · note-1",
      ].join("\n"),
    );
  });

  test("a long text is shown around its first highlight, or whole", () => {
    const start = chunk.content.indexOf("write-ahead");
    const hit: Hit = { memory: chunk, score: 1, highlights: [{ start, end: start + 11 }] };
    const marked = { ...plain, yellow: (text: unknown) => `[${text}]` };
    const lines = formatHits({ hits: [hit] }, { width: 60, full: false, style: marked, cwd: "/home" }).split(
      "\n",
    );
    assert.equal(lines[0], "1. 1.000  docs/store.md › Store › Log");
    assert.match(lines[1]!, /^ {3}… \S/);
    assert.ok(lines.length <= 5);
    assert.match(lines.join(" "), /the\s+\[write-ahead\] log\./);
    const full = formatHits({ hits: [hit] }, { width: 60, full: true, style: plain, cwd: "/home" });
    assert.equal(
      full
        .split("\n")
        .slice(1, -1)
        .map((line) => line.trim())
        .join(" "),
      chunk.content,
    );
  });

  test("an explanation adds up, names the words, and needs no manual", () => {
    assert.deepEqual(explainHit(1.17, why, explanation.weights), [
      "score 1.170 = meaning 0.450 + words 0.500 + near words 0.100 + importance 0.020 + speaker 0.100",
      "meaning: similarity 0.710 of 1, 2nd of the candidates",
      "words: has tea; ada stand around it, 1st of the candidates",
      "near words: 3rd of the candidates",
    ]);
    assert.deepEqual(explainAnswer(explanation), [
      "Ranked 42 % by meaning, 42 % by words and 17 % by near words (hybrid).",
      "The model does not know 25 % of the question, so words count for more.",
      "Words: looked for ada, tea; passed over, common or not in this memory: the.",
      "Candidates: 100 by meaning (exact search), 34 by words, 104 together; the best 30 compared word by word.",
      "Time: last week is 2026-05-08 to 2026-05-14; what happened then stands higher.",
      "Left out: 3 memories, under the least score.",
      "Took 1.3 ms: embed 0.20 ms, rank 1.1 ms.",
    ]);
  });

  test("as JSON, times are ISO 8601 and absent fields are absent", () => {
    const { hits } = recallJson({ hits: [{ memory: { ...note, at: day }, score: 1 }] });
    const { memory } = JSON.parse(JSON.stringify(hits[0]));
    assert.equal(memory.createdAt, "2026-05-08T00:00:00.000Z");
    assert.equal(memory.at, "2026-05-08T00:00:00.000Z");
    assert.equal("expiresAt" in memory, false);
    assert.equal("why" in hits[0]!, false);
  });
});

describe("memories", () => {
  test("all fields that are there are shown, the text last and harmless", () => {
    const shown = formatMemory({ ...chunk, content: "a\u001b[2Jb", pinned: true, version: 3 }, plain);
    assert.match(shown, /^id {9}chunk-1\n/);
    assert.match(shown, /\ntier {7}semantic, pinned\n/);
    assert.match(shown, /\ndocument {3}docs\/store\.md, chunk 2, characters 100 to 403\n/);
    assert.match(shown, /version 3/);
    assert.doesNotMatch(shown, /\nspeaker/);
    assert.ok(shown.endsWith("\n\na\ufffd[2Jb"));
  });

  test("a list's line is cut to the width", () => {
    const line = memoryLine({ ...note, content: "tea ".repeat(50) }, 80, plain);
    assert.equal(line.length, 80);
    assert.match(line, /^note-1 {2}2026-05-08 00:00 {2}long_term {3}tea /);
  });

  test("a turn's origin is its speaker and thread", () => {
    assert.equal(originOf({ ...note, speaker: "Ada", thread: "trip" }, "/home"), "Ada in trip");
    assert.equal(originOf(note, "/home"), "");
  });

  test("what was evicted is told with its tiers", () => {
    assert.equal(evictionWarning([]), undefined);
    const evicted = { id: "x", document: false, tier: "working", relevance: 0.2 } as const;
    assert.match(evictionWarning([evicted])!, /^1 entry left the full tier working;/);
  });
});

describe("ingest reports", () => {
  const report: IngestReport = {
    documents: [{ uri: "a.md", outcome: "added", chunks: 3 }],
    added: 1,
    replaced: 0,
    unchanged: 2,
    failed: 0,
    skipped: {},
    pruned: [],
    chunks: 3,
    withoutVector: 0,
    secrets: 0,
    evicted: [],
  };

  test("outcomes that happened are counted", () => {
    assert.equal(formatIngest(report), "1 added, 2 unchanged; 3 chunks stored");
    const none = { ...report, added: 0, unchanged: 0, chunks: 1, withoutVector: 1 };
    assert.equal(
      formatIngest(none),
      "no documents; 1 chunk stored (1 without a vector, found by words only)",
    );
  });

  test("failures are named with their code, the many counted", () => {
    const failed = Array.from({ length: 25 }, (_, index) => ({
      uri: `${index}.pdf`,
      outcome: "failed" as const,
      chunks: 0,
      error: { code: "FILE_ENCRYPTED" as const, message: "The file is encrypted." },
    }));
    const warnings = ingestWarnings({ ...report, documents: failed, failed: 25 }, "/home");
    assert.equal(warnings.length, 21);
    assert.equal(warnings[0], "0.pdf was not read: The file is encrypted. [FILE_ENCRYPTED]");
    assert.equal(warnings[20], "5 more files were not read.");
  });
});

describe("progress", () => {
  test("is one line, drawn at most every so often, and leaves nothing behind", () => {
    let said = "";
    let now = 0;
    const sink = {
      isTTY: true,
      columns: 10,
      write: (text: string) => {
        said += text;
        return true;
      },
      once: () => undefined,
    };
    const line = new ProgressLine(sink, () => now);
    line.show(() => "reading a long name");
    line.show(() => "too soon");
    now = 1_000;
    line.show(() => "second");
    line.clear();
    line.clear();
    assert.equal(said, "\r\u001b[Kreading…\r\u001b[Ksecond\r\u001b[K");
  });
});

describe("names of documents", () => {
  test("a path below the working folder is told from there, every other one whole", () => {
    assert.equal(shownDocument("/home/ada/docs/a.md", "/home/ada"), join("docs", "a.md"));
    assert.equal(shownDocument("/home/adam/a.md", "/home/ada"), "/home/adam/a.md");
    assert.equal(shownDocument("/home/ada", "/home/ada"), "/home/ada");
    assert.equal(shownDocument("https://example.com/a", "/home"), "https://example.com/a");
    assert.equal(shownDocument("notes.md", "/home"), "notes.md");
  });
});

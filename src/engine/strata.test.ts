import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import type { ErrorCode } from "../contract/errors.ts";
import { StrataError } from "../contract/errors.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

let folder: string;
let opened: Strata[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata engine "));
  opened = [];
});

afterEach(async () => {
  for (const memory of opened) await memory.close();
  rmSync(folder, { recursive: true });
});

async function open(options: OpenOptions = {}): Promise<Strata> {
  const memory = await openMemory({ path: join(folder, "memory.db"), ...options });
  opened.push(memory);
  return memory;
}

/** A validator for assert.rejects that holds the code and that no text of the user is told. */
function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(StrataError.isInstance(error), String(error));
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  };
}

suite("a memory", () => {
  test("recalls what was stored, by meaning", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea to coffee.");
    await memory.store("The invoice is due on Friday.");
    const { hits } = await memory.recall("what does Ada like to drink?");
    assert.equal(hits[0]?.memory.content, "Ada prefers tea to coffee.");
  });

  test("keeps everything a caller gave", async () => {
    const memory = await open();
    const at = new Date("2023-05-08T13:56:00Z");
    const given = {
      id: "D1:3",
      tier: "episodic",
      importance: 0.8,
      thread: "trip",
      speaker: "Ada",
      pinned: true,
    } as const;
    const stored = await memory.store("Booked for the 7th.", {
      ...given,
      tags: ["travel"],
      metadata: { seat: 4 },
      at,
    });
    const found = await memory.get("D1:3");
    assert.deepEqual({ ...found, outcome: "stored", flags: [], evicted: [] }, stored);
    assert.partialDeepStrictEqual(found, {
      ...given,
      tags: ["travel"],
      metadata: { seat: 4 },
      at: at.getTime(),
      version: 1,
    });
  });

  test("is there again when the file is opened again", async () => {
    const first = await open();
    const { id } = await first.store("It survives.");
    await first.close();
    const second = await open();
    assert.equal((await second.get(id))?.content, "It survives.");
    assert.equal((await second.recall("survives")).hits[0]?.memory.id, id);
  });

  test("is one file that only its owner can read", async () => {
    const memory = await open();
    assert.equal(statSync(memory.path).mode & 0o777, 0o600);
  });

  test("recalls at once what another opening of the same file stored", async () => {
    const [one, other] = [await open(), await open()];
    await one.store("The first says hello.");
    assert.equal((await other.recall("hello")).hits.length, 1);
    await one.store("The first says goodbye.");
    assert.equal((await other.recall("goodbye")).hits[0]?.memory.content, "The first says goodbye.");
  });

  test("stores many in the order they came", async () => {
    const memory = await open();
    const items = Array.from({ length: 300 }, (_, index) => ({
      content: `Fact number ${index} about otters.`,
    }));
    const progress: number[] = [];
    const { memories } = await memory.storeMany(items, { onProgress: ({ done }) => progress.push(done) });
    assert.deepEqual(
      memories.map(({ memory }) => memory.content),
      items.map((item) => item.content),
    );
    assert.equal(progress.at(-1), 300);
    assert.equal((await memory.stats()).memories, 300);
  });

  test("stores nothing of many when one of them is bad", async () => {
    const memory = await open();
    await assert.rejects(memory.storeMany([{ content: "good" }, { content: " " }]), withCode("EMPTY_TEXT"));
    assert.equal((await memory.stats()).memories, 0);
  });

  test("returns the first memory for a second store with its idempotency key", async () => {
    const memory = await open();
    const first = await memory.store("once", { idempotencyKey: "k" });
    const second = await memory.store("once more", { idempotencyKey: "k" });
    assert.equal(second.id, first.id);
    assert.equal(second.outcome, "existing");
    assert.equal(second.content, "once");
  });

  test("tells which entries a store evicted", async () => {
    const memory = await open({ config: { "memory.working_capacity": 2 } });
    const weak = await memory.store("weak", { tier: "working", importance: 0.1 });
    await memory.store("strong", { tier: "working", importance: 0.9 });
    const { evicted } = await memory.store("new", { tier: "working" });
    assert.deepEqual(
      evicted.map((entry) => entry.id),
      [weak.id],
    );
    assert.equal(await memory.get(weak.id), undefined);
    assert.equal((await memory.journal()).entries[0]?.kind, "evict");
  });

  test("finds a changed text under its new words and no longer under the old", async () => {
    const memory = await open();
    const { id } = await memory.store("The meeting is on Monday.");
    const { memory: changed } = await memory.update(
      id,
      { content: "The meeting is on Thursday." },
      { ifVersion: 1 },
    );
    assert.equal(changed.version, 2);
    assert.equal((await memory.search("thursday")).hits[0]?.memory.id, id);
    assert.deepEqual((await memory.search("monday")).hits, []);
  });

  test("refuses an update of a version that is gone", async () => {
    const memory = await open();
    const { id } = await memory.store("one");
    await memory.update(id, { importance: 0.9 });
    await assert.rejects(
      memory.update(id, { importance: 0.1 }, { ifVersion: 1 }),
      withCode("VERSION_CONFLICT"),
    );
    assert.equal((await memory.get(id))?.importance, 0.9);
  });

  test("takes an optional field away with null", async () => {
    const memory = await open();
    const { id } = await memory.store("one", { speaker: "Ada", thread: "t" });
    const { memory: changed } = await memory.update(id, { speaker: null });
    assert.equal(changed.speaker, undefined);
    assert.equal(changed.thread, "t");
  });

  test("forgets by id and by filter, and refuses to forget everything by an empty filter", async () => {
    const memory = await open();
    const { id } = await memory.store("one", { tags: ["a"] });
    await memory.store("two", { tags: ["b"] });
    await assert.rejects(memory.forget({}), withCode("CONFIRMATION_REQUIRED"));
    await assert.rejects(memory.forget([id, "missing"]), withCode("NOT_FOUND"));
    assert.equal((await memory.forget(id)).forgotten, 1);
    assert.equal((await memory.forget({ tags: ["b"] })).forgotten, 1);
    assert.deepEqual((await memory.recall("one or two")).hits, []);
  });

  test("leaves other work its turns while it forgets very many", async () => {
    const memory = await open();
    const items = Array.from({ length: 6_000 }, (_, index) => ({ content: `Fact ${index} about otters.` }));
    await memory.storeMany(items.map((item) => ({ ...item, tier: "semantic" })));
    let turns = 0;
    let forgetting = true;
    const count = (): void => {
      turns += 1;
      if (forgetting) setImmediate(count);
    };
    setImmediate(count);
    await memory.forget({ minImportance: 0 });
    forgetting = false;
    // Without a pause between its steps there are a handful, however many memories.
    assert.ok(turns > 8, `${turns} turns`);
  });

  test("clears a namespace by its name and leaves the others", async () => {
    const memory = await open();
    await memory.store("mine", { namespace: "a" });
    await memory.store("yours", { namespace: "b" });
    assert.equal(await memory.clear("a"), 1);
    assert.deepEqual(await memory.namespaces(), ["b"]);
  });

  test("never shows one namespace's memories to another", async () => {
    const memory = await open();
    const { id } = await memory.store("Only for Ada.", { namespace: "ada" });
    assert.equal(await memory.get(id, { namespace: "ben" }), undefined);
    assert.deepEqual((await memory.recall("Ada", { namespace: "ben" })).hits, []);
    assert.deepEqual((await memory.search("Ada", { namespace: "ben" })).hits, []);
    await assert.rejects(memory.forget(id, { namespace: "ben" }), withCode("NOT_FOUND"));
  });

  test("counts uses by recall, search and get, and not those that ask not to be counted", async () => {
    const memory = await open();
    const { id } = await memory.store("Otters hold hands.");
    await memory.recall("otters");
    await memory.search("otters");
    await memory.recall("otters", { touch: false });
    await memory.flush();
    assert.equal((await memory.get(id))?.accessCount, 2);
  });

  test("pages through everything once", async () => {
    const memory = await open();
    await memory.storeMany(Array.from({ length: 25 }, (_, index) => ({ content: `item ${index}` })));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await memory.list({ limit: 10, cursor });
      seen.push(...page.memories.map(({ content }) => content));
      cursor = page.cursor;
    } while (cursor !== undefined);
    assert.equal(new Set(seen).size, 25);
    assert.equal(seen.length, 25);
  });

  test("answers a question about nothing with no hits", async () => {
    const memory = await open();
    for (const question of ["", " ", '"', "AND OR NOT (", "\0", "🦦", "x".repeat(100_000)]) {
      assert.deepEqual((await memory.recall(question)).hits, []);
      assert.deepEqual((await memory.search(question)).hits, []);
    }
  });

  test("stores a text in which the model knows nothing, and finds it by its words", async () => {
    const memory = await open();
    const stored = await memory.store("你好");
    assert.equal(stored.model, undefined);
    assert.equal((await memory.stats()).withoutVector, 1);
    assert.equal((await memory.recall("你好")).hits[0]?.memory.id, stored.id);
  });
});

suite("a memory refuses", () => {
  const bad: readonly (readonly [string, ErrorCode, (memory: Strata) => Promise<unknown>])[] = [
    [
      "an unknown tier",
      "UNKNOWN_TIER",
      (memory) => memory.store("secret", { tier: "longterm" as "long_term" }),
    ],
    ["importance above 1", "INVALID_IMPORTANCE", (memory) => memory.store("secret", { importance: 1.1 })],
    ["importance below 0", "INVALID_IMPORTANCE", (memory) => memory.store("secret", { importance: -0.1 })],
    ["importance NaN", "INVALID_IMPORTANCE", (memory) => memory.store("secret", { importance: Number.NaN })],
    ["an empty text", "EMPTY_TEXT", (memory) => memory.store("  \n")],
    ["a text of 10 MB", "TEXT_TOO_LARGE", (memory) => memory.store("secret ".repeat(1_500_000))],
    ["half a surrogate pair", "INVALID_UTF8", (memory) => memory.store("secret \ud800")],
    ["a text that is no string", "INVALID_ARGUMENT", (memory) => memory.store(7 as unknown as string)],
    [
      "an unknown option",
      "UNKNOWN_OPTION",
      (memory) => memory.store("secret", { tear: "working" } as object),
    ],
    [
      "an unknown recall option",
      "UNKNOWN_OPTION",
      (memory) => memory.recall("secret", { topK: 3 } as object),
    ],
    ["a limit of 0", "INVALID_ARGUMENT", (memory) => memory.recall("secret", { limit: 0 })],
    ["a limit of NaN", "INVALID_ARGUMENT", (memory) => memory.recall("secret", { limit: Number.NaN })],
    ["a time that is none", "INVALID_ARGUMENT", (memory) => memory.store("secret", { at: "yesterday" })],
    [
      "metadata that contains itself",
      "INVALID_ARGUMENT",
      (memory) => memory.store("secret", { metadata: itself() }),
    ],
    [
      "a namespace with white space",
      "INVALID_ARGUMENT",
      (memory) => memory.store("secret", { namespace: "a b" }),
    ],
    ["another text under a taken id", "ALREADY_EXISTS", storeTwice],
  ];

  function itself(): Record<string, string> {
    const metadata: Record<string, unknown> = {};
    metadata["self"] = metadata;
    return metadata as Record<string, string>;
  }

  async function storeTwice(memory: Strata): Promise<unknown> {
    await memory.store("first", { id: "taken" });
    return memory.store("secret", { id: "taken" });
  }

  for (const [what, code, call] of bad) {
    test(`${what} with ${code}, telling no text`, async () => {
      const memory = await open();
      await assert.rejects(call(memory), withCode(code));
    });
  }

  test("every call after it was closed", async () => {
    const memory = await open();
    await memory.close();
    await memory.close();
    await assert.rejects(memory.store("late"), withCode("CLOSED"));
    await assert.rejects(memory.recall("late"), withCode("CLOSED"));
  });

  test("to make a file that must exist", async () => {
    await assert.rejects(open({ mustExist: true }), withCode("DATABASE_NOT_FOUND"));
    assert.ok(!existsSync(join(folder, "memory.db")));
  });

  test("an unknown option of openMemory with the nearest known one", async () => {
    await assert.rejects(openMemory({ namepsace: "x" } as object), (error: Error) =>
      /did you mean "namespace"/.test(error.message),
    );
  });
});

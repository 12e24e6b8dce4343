import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { StrataError } from "../../contract/errors.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { openMemory } from "../open-memory.ts";
import type { Strata } from "../strata.ts";

const token = `npm_${"a1B2c3D4e5".repeat(4).slice(0, 36)}`;

function withCode(code: string) {
  return (error: unknown) =>
    StrataError.isInstance(error) &&
    error.code === code &&
    !JSON.stringify([error.message, error.details]).includes(token);
}

suite("write hygiene", () => {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  let folder: string;
  let memory: Strata;
  const open = (config = {}) =>
    openMemory({ path: join(folder, "memory.db"), configFile: false, config, clock });
  const count = async () => (await memory.stats()).memories;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "strata-hygiene-"));
    memory = await open();
  });

  afterEach(async () => {
    await memory.close();
    await rm(folder, { recursive: true });
  });

  suite("duplicates", () => {
    test("storing a text again returns the memory that is there and counts it as a use", async () => {
      const first = await memory.store("Ada prefers tea");
      const second = await memory.store("Ada prefers tea", { tags: ["ada"] });
      assert.deepEqual([second.id, second.outcome, second.accessCount], [first.id, "existing", 1]);
      assert.deepEqual(second.tags, ["ada"]);
      assert.deepEqual([await count(), (await memory.stats()).repeated], [1, 1]);
    });

    test("whoever gives an id or a key, or asks for it, stores another", async () => {
      await memory.store("Ada prefers tea");
      for (const options of [{ id: "mine" }, { idempotencyKey: "once" }, { onDuplicate: "store" }] as const) {
        assert.equal((await memory.store("Ada prefers tea", options)).outcome, "stored");
      }
      assert.equal(await count(), 4);
    });

    test("many at once follow the same rule, and so does the configuration", async () => {
      const items = ["one", "two", "one", "one"].map((content) => ({ content }));
      const { memories } = await memory.storeMany(items);
      assert.deepEqual(
        memories.map(({ outcome }) => outcome),
        ["stored", "stored", "existing", "existing"],
      );
      await memory.close();
      memory = await open({ "hygiene.duplicates": "store" });
      await memory.store("one");
      assert.equal(await count(), 3);
    });

    test("turns that are said twice stay two, in other namespaces texts are their own", async () => {
      for (let time = 0; time < 2; time++) await memory.store("ok", { thread: "trip", speaker: "Ada" });
      await memory.store("ok", { namespace: "other" });
      assert.equal(await count(), 2);
    });

    test("an import stores what was exported, duplicates included", async () => {
      await memory.store("same");
      await memory.store("same", { onDuplicate: "store" });
      const lines: string[] = [];
      for await (const line of memory.export()) lines.push(line);
      const report = await memory.import(lines, { namespace: "copy" });
      assert.equal(report.stored, 2);
    });
  });

  suite("the same in another form", () => {
    test("is stored unless asked, then named or returned", async () => {
      const first = await memory.store("Ada prefers tea in the morning.");
      const flagged = await memory.store("ada prefers tea in the morning", { onSimilar: "flag" });
      assert.deepEqual([flagged.outcome, flagged.flags, flagged.similar], ["stored", ["similar"], first.id]);
      await memory.forget(flagged.id);
      const returned = await memory.store("Ada prefers tea in the morning!", { onSimilar: "return" });
      assert.deepEqual([returned.outcome, returned.id], ["existing", first.id]);
      assert.equal(await count(), 1);
    });

    test("the same text to the letter is the memory that is there, which takes over what it lacks", async () => {
      const { id } = await memory.store("Ada prefers tea in the morning.");
      for (const onSimilar of ["flag", "return"] as const) {
        const again = await memory.store("Ada prefers tea in the morning.", {
          onSimilar,
          pinned: true,
          tags: [onSimilar],
        });
        assert.deepEqual([again.outcome, again.id, again.pinned, again.flags], ["existing", id, true, []]);
      }
      assert.deepEqual((await memory.get(id))?.tags, ["flag", "return"]);
    });

    test("a turn of a thread without a time was said twice", async () => {
      const turn = { thread: "trip", speaker: "Ada", onSimilar: "return" } as const;
      for (const text of ["We take the train.", "we take the train"])
        assert.equal((await memory.store(text, turn)).outcome, "stored");
    });

    test("another number, name or negation is stored", async () => {
      const texts = [
        "Book for the 7th",
        "Book for the 8th",
        "Do not book for the 7th",
        "Ada: book for the 7th",
      ];
      const { memories } = await memory.storeMany(
        texts.map((content) => ({ content })),
        { onSimilar: "return" },
      );
      assert.deepEqual(
        memories.map(({ outcome }) => outcome),
        texts.map(() => "stored"),
      );
    });

    test("many at once are compared with each other too", async () => {
      const items = ["Ada is at home", "ada is at home.", "Ada is at home"].map((content) => ({ content }));
      const { memories } = await memory.storeMany(items, { onSimilar: "return" });
      assert.equal(new Set(memories.map((one) => one.memory.id)).size, 1);
    });

    test("a similarity that is no share is refused", async () => {
      for (const similarity of [Number.NaN, 1.1, "1" as never]) {
        await assert.rejects(memory.store("text", { similarity }), withCode("INVALID_ARGUMENT"));
      }
    });
  });

  suite("secrets", () => {
    test("are said in the result, and never told", async () => {
      const { flags, secrets } = await memory.store(`The token is ${token}`);
      assert.deepEqual([flags, secrets], [["secret"], [{ rule: "npm-token", start: 13, end: 53 }]]);
    });

    test("are refused on request, in store, storeMany, update and ingest", async () => {
      const { id } = await memory.store("harmless");
      const policy = { onSecret: "refuse" } as const;
      await assert.rejects(memory.store(token, policy), withCode("SECRET_DETECTED"));
      await assert.rejects(
        memory.storeMany([{ content: "a" }, { content: token }], policy),
        withCode("SECRET_DETECTED"),
      );
      await assert.rejects(memory.update(id, { content: token }, policy), withCode("SECRET_DETECTED"));
      const document = { name: "notes", text: `Keys\n\n${token}\n` };
      const report = await memory.ingest({ name: "fine", text: "Tea." }, policy);
      assert.equal(report.secrets, 0);
      await assert.rejects(memory.ingest(document, policy), withCode("SECRET_DETECTED"));
      assert.equal(await memory.document("notes"), undefined);
      assert.deepEqual((await memory.ingest(document)).documents[0]?.secrets, 1);
      assert.deepEqual((await memory.update(id, { content: token })).flags, ["secret"]);
    });

    test("a refusal tells the rule and where in the text or the document it stands", async () => {
      const policy = { onSecret: "refuse" } as const;
      const text = `${"Ada prefers tea. ".repeat(400)}${token}`;
      const offset = text.indexOf(token);
      const tells = (error: unknown) => {
        assert.ok(StrataError.isInstance(error));
        assert.deepEqual(error.details, { rule: "npm-token", offset, findings: 1 });
        assert.match(error.message, new RegExp(`at character ${offset} stands`));
        return true;
      };
      await assert.rejects(memory.store(text, policy), tells);
      await assert.rejects(memory.ingest({ name: "notes", text }, policy), tells);
    });

    test("the configuration decides where a call says nothing", async () => {
      await memory.close();
      memory = await open({ "hygiene.secrets": "refuse" });
      await assert.rejects(memory.store(token), withCode("SECRET_DETECTED"));
      assert.deepEqual((await memory.store(token, { onSecret: "off" })).flags, []);
    });
  });

  suite("recall loops", () => {
    const facts = ["Ada prefers green tea in the morning", "The release is planned for the 7th of May"];
    beforeEach(async () => {
      await memory.storeMany(facts.map((content) => ({ content })));
    });

    test("a text that repeats what was just recalled is flagged, or refused", async () => {
      await memory.recall("what does Ada drink?");
      const echo = `${facts.join(". ")}.`;
      assert.deepEqual((await memory.store(echo)).flags, ["recall-loop"]);
      await assert.rejects(memory.store(`${echo}!`, { onRecallLoop: "refuse" }), withCode("RECALL_LOOP"));
      assert.deepEqual((await memory.store(echo, { onRecallLoop: "off", id: "x" })).flags, []);
    });

    test("from four fifths of the three-word sequences on a text is an echo", async () => {
      await memory.recall("what does Ada drink?");
      // Five sequences of the hit, and one or two of the text's own.
      assert.deepEqual((await memory.store(`${facts[0]} daily`)).flags, ["recall-loop"]);
      assert.deepEqual((await memory.store(`${facts[0]} and evening`)).flags, []);
    });

    test("the configuration decides where a call says nothing", async () => {
      await memory.close();
      memory = await open({ "hygiene.recall_loops": "refuse" });
      await memory.recall("what does Ada drink?");
      await assert.rejects(memory.store(facts[0]!), withCode("RECALL_LOOP"));
      assert.deepEqual((await memory.store(facts[0]!, { onRecallLoop: "off" })).flags, []);
    });

    test("what is new, corrected or long after is none", async () => {
      assert.deepEqual((await memory.store(facts[0]!)).flags, []);
      await memory.recall("what does Ada drink?");
      for (const text of [
        "Ben wants coffee and a croissant at nine",
        "The release is planned for the 8th of May",
        "Ada never prefers green tea in the morning",
        "Ada prefers green tea, and Ben gave her a new pot from Kyoto for it",
      ]) {
        assert.deepEqual((await memory.store(text)).flags, [], text);
      }
      assert.deepEqual((await memory.store(facts[1]!, { namespace: "other" })).flags, []);
      clock.advance(600_000);
      assert.deepEqual((await memory.store(facts[1]!)).flags, []);
    });
  });

  test("a policy that does not exist is refused", async () => {
    for (const name of ["onDuplicate", "onSimilar", "onSecret", "onRecallLoop"]) {
      await assert.rejects(memory.store("text", { [name]: "ask" }), withCode("INVALID_ARGUMENT"));
    }
  });
});

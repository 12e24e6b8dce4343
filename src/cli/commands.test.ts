import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { Interrupted } from "./interrupted.ts";
import { type Recording, type RecordingOptions, recordRun } from "./recorded-run.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-commands-"));
const db = join(folder, "memory.db");
const docs = join(folder, "docs");

before(() => {
  mkdirSync(docs);
  writeFileSync(
    join(docs, "keys.md"),
    "# Keys\n\n## Rotating\n\nRotate the signing keys every ninety days.\n",
  );
  writeFileSync(join(docs, "log.md"), "# Log\n\nThe write-ahead log is cut at every checkpoint.\n");
  writeFileSync(join(docs, "broken.md"), Buffer.from([0x23, 0x20, 0x41, 0xff, 0xfe, 0x41, 0x0a]));
});
after(() => rmSync(folder, { recursive: true }));

const strata = (argv: readonly string[], options?: RecordingOptions): Promise<Recording> =>
  recordRun(["--db", db, ...argv], { cwd: folder, ...options });

/** The JSON a command prints; it must end well. */
async function json(argv: readonly string[], options?: RecordingOptions) {
  const { exitCode, stdout, stderr } = await strata([...argv, "--json"], options);
  assert.equal(exitCode, 0, stderr);
  assert.equal(stdout.split("\n").length, 2);
  return JSON.parse(stdout);
}

describe("commands", () => {
  test("what is stored is recalled", async () => {
    const stored = await strata(["store", "Ada prefers tea", "--tags", "ada,drinks", "--importance", "0.8"]);
    assert.equal(stored.exitCode, 0);
    assert.match(stored.stdout, /^[0-9a-f-]{36}\n$/);
    assert.equal(stored.stderr, "Stored in long_term, namespace default.\n");
    const recalled = await strata(["recall", "what", "does", "Ada", "drink?"]);
    assert.match(recalled.stdout, /^1\. \d\.\d{3}\n {3}Ada prefers tea\n {3}long_term · .*#ada · #drinks · /);
    const { hits } = await json(["recall", "what does Ada drink?", "--explain"]);
    assert.equal(hits[0].memory.id, stored.stdout.trim());
    assert.equal(hits[0].memory.importance, 0.8);
    assert.match(hits[0].memory.createdAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.ok(hits[0].why.vector.raw > 0);
  });

  test("standard input is stored without the line feed at its end", async () => {
    const input = "Ben prefers coffee\n\nand says so\n";
    const { memory, outcome } = await json(
      ["store", "-", "--id", "ben", "--metadata", "n=1", "--metadata", "s=one"],
      {
        input,
      },
    );
    assert.equal(outcome, "stored");
    assert.equal(memory.content, "Ben prefers coffee\n\nand says so");
    assert.deepEqual(memory.metadata, { n: 1, s: "one" });
    const again = await strata(["store", "-", "--id", "ben"], { input });
    assert.match(again.stderr, /there already/);
  });

  test("quiet leaves the result alone", async () => {
    const { stdout, stderr } = await strata(["store", "Cleo prefers water", "--quiet", "--id", "cleo"]);
    assert.deepEqual({ stdout, stderr }, { stdout: "cleo\n", stderr: "" });
  });

  test("a folder is ingested once, and what cannot be read is named", async () => {
    const first = await strata(["ingest", "docs"]);
    assert.equal(first.exitCode, 0, first.stderr);
    assert.equal(first.stdout, "2 added, 1 failed; 2 chunks stored\n");
    assert.match(first.stderr, /^warning: docs.broken\.md was not read: .*\[INVALID_UTF8\]$/m);
    const report = await json(["ingest", "docs"]);
    assert.deepEqual([report.added, report.unchanged, report.failed, report.chunks], [0, 2, 1, 0]);
    assert.equal(report.documents[0].error.code, "INVALID_UTF8");
    const { documents } = await json(["documents"]);
    assert.deepEqual(
      documents.map(({ uri }: { uri: string }) => uri),
      [join(docs, "keys.md"), join(docs, "log.md")],
    );
    assert.match((await strata(["documents"])).stdout, /docs.keys\.md\n/);
  });

  test("words are found as they stand, and in one document by its path", async () => {
    const phrase = await strata(["search", '"signing keys"']);
    assert.match(phrase.stdout, /^1\. \d\.\d{3} {2}docs.keys\.md\n/);
    const { hits } = await json(["search", "checkp*", "--document", join("docs", "log.md")]);
    const [{ start, end }] = hits[0].highlights;
    assert.equal(hits[0].memory.content.slice(start, end), "checkpoint");
    const none = await strata(["search", "zebra"]);
    assert.deepEqual([none.exitCode, none.stdout], [0, ""]);
    assert.match(none.stderr, /holds nothing that matches/);
    const { hits: filtered } = await json(["recall", "keys", "--tags", "drinks", "--min-importance", "0.7"]);
    assert.equal(filtered.length, 1);
  });

  test("a document from standard input needs a name", async () => {
    const { documents } = await json(["ingest", "-", "--name", "notes.md"], {
      input: "# Notes\n\nOne line.\n",
    });
    assert.deepEqual([documents[0].uri, documents[0].outcome], ["notes.md", "added"]);
    const wrong = await strata(["ingest", "docs", "--name", "notes.md"]);
    assert.equal(wrong.exitCode, 2);
  });

  test("an interrupt in the middle of a document leaves none of it, and ends with 130", async () => {
    const interrupt = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let line = 0; ; line++) {
        if (line === 5_000) interrupt.abort(new Interrupted(130));
        yield Buffer.from(`Line ${line} tells that the harbour master weighs another cargo of oranges.\n\n`);
      }
    }
    const { exitCode, stdout, stderr } = await strata(["ingest", "-", "--name", "endless.txt"], {
      input: endless(),
      signal: interrupt.signal,
    });
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 130, stdout: "", stderr: "" });
    const { documents } = await json(["documents"]);
    assert.equal(documents.length, 3);
    assert.equal((await json(["search", "oranges"])).hits.length, 0);
  });

  test("a memory is shown, changed, pinned and forgotten by its id", async () => {
    assert.match((await strata(["get", "ben"])).stdout, /\nmetadata {3}\{"n":1,"s":"one"\}\n/);
    const changed = await json([
      "update",
      "ben",
      "--content",
      "Ben prefers cocoa",
      "--speaker",
      "Ben",
      "--if-version",
      "1",
    ]);
    assert.deepEqual([changed.memory.version, changed.memory.speaker], [2, "Ben"]);
    const { memory } = await json(["update", "ben", "--unset", "speaker,tags"]);
    assert.equal("speaker" in memory, false);
    const stale = await strata(["update", "ben", "--importance", "1", "--if-version", "1"]);
    assert.equal(stale.exitCode, 4);
    assert.match(stale.stderr, /\[VERSION_CONFLICT\]/);
    assert.equal((await strata(["pin", "ben"])).stdout, "pinned\n");
    assert.equal((await strata(["pin", "ben", "--off"])).stdout, "unpinned\n");
    assert.equal((await strata(["forget", "ben"])).stdout, "1 memory forgotten\n");
    const gone = await strata(["get", "ben", "--json"]);
    assert.equal(gone.exitCode, 3);
    assert.equal(JSON.parse(gone.stderr).error.code, "NOT_FOUND");
    assert.equal((await strata(["forget", "ben"])).exitCode, 3);
  });

  test("a page tells how to get the next one", async () => {
    const { memories, cursor } = await json(["list", "--limit", "1"]);
    assert.equal(memories.length, 1);
    const next = await strata(["list", "--limit", "100", "--cursor", cursor]);
    assert.match(next.stdout, /Ada prefers tea\n/);
    assert.match((await strata(["list", "--limit", "1"])).stderr, /repeat with --cursor /);
  });

  test("what removes by filter or for good asks first, and never without a terminal", async () => {
    for (const argv of [
      ["forget", "--tags", "ada"],
      ["forget", "cleo", "--erase"],
      ["clear", "default"],
    ]) {
      const { exitCode, stderr } = await strata(argv);
      assert.equal(exitCode, 2);
      assert.match(
        stderr,
        /^error: Not confirmed: .*\[CONFIRMATION_REQUIRED\]\nRepeat the command with --yes/,
      );
    }
    const erased = await json(["forget", "cleo", "--erase", "--yes"]);
    assert.deepEqual(erased, { forgotten: 1 });
    const nothing = await strata(["forget", "--tags", "nobody"]);
    assert.equal(nothing.stdout, "0 memories forgotten\n");
    const both = await strata(["forget", "cleo", "--tags", "ada"]);
    assert.equal(both.exitCode, 2);
  });

  test("statistics, journal, namespaces and cleanup tell what there is", async () => {
    const stats = await strata(["stats"]);
    assert.match(stats.stdout, /^namespace default\n\ntier +entries/);
    assert.match(stats.stdout, /\nlong_term +1 +10,000 /);
    const all = await json(["stats", "--all"]);
    assert.deepEqual([all.documents, all.path], [3, db]);
    const { entries } = await json(["journal", "--memory", "ben"]);
    assert.equal(entries[0].kind, "forget");
    assert.match((await strata(["journal"])).stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d {2}\d+ [a-z ,\d]+ {2}run /);
    assert.deepEqual(await json(["namespaces"]), { namespaces: ["default"] });
    const dry = await json(["cleanup", "--dry-run"]);
    assert.deepEqual([dry.dryRun, dry.expired], [true, 0]);
    assert.match((await strata(["cleanup", "--all"])).stdout, /^Removed 0 expired memories, /);
  });

  test("an empty namespace says what to do next", async () => {
    for (const command of [["recall", "tea"], ["list"], ["documents"], ["stats"]]) {
      const { exitCode, stderr } = await strata([...command, "-n", "other"]);
      assert.equal(exitCode, 0);
      assert.match(stderr, /strata ingest FOLDER/);
    }
  });

  test("an export is imported whole, elsewhere and under another namespace, and a damaged one not at all", async () => {
    const file = join(folder, "export.jsonl");
    const { exported } = await json(["export", "export.jsonl", "--vectors"]);
    const { stdout } = await strata(["export", "--vectors"]);
    const written = readFileSync(file, "utf8");
    assert.equal(written.split("\n").length, exported + 3);
    assert.deepEqual(stdout.split("\n").slice(1, -2), written.split("\n").slice(1, -2));
    const report = await json(["import", "export.jsonl", "-n", "copy"]);
    assert.deepEqual([report.stored, report.existing, report.documents], [4, 0, 3]);
    const again = await json(["import", "-", "-n", "copy"], { input: written });
    assert.deepEqual([again.stored, again.existing, again.documents], [0, 4, 0]);
    const damaged = await strata(["import", "-", "-n", "damaged"], { input: written.replace("tea", "gin") });
    assert.equal(damaged.exitCode, 6);
    assert.match(damaged.stderr, /\[CHECKSUM_MISMATCH\]/);
    assert.deepEqual(await json(["namespaces"]), { namespaces: ["copy", "default"] });
    const cleared = await json(["clear", "copy", "--yes"]);
    assert.deepEqual(cleared, { namespace: "copy", cleared: 4 });
    assert.equal((await strata(["import", "nowhere.jsonl"])).exitCode, 6);
  });

  test("doctor finds all well, and makes nothing where nothing is", async () => {
    const whole = await json(["doctor"]);
    assert.deepEqual(whole.problems, []);
    assert.deepEqual([whole.database.path, whole.database.origin], [db, "given"]);
    assert.deepEqual(whole.database.inspection.damages, []);
    assert.equal(whole.contents.documents, 3);
    assert.match((await strata(["doctor"])).stdout, /\nAll is well\.\n$/);
    const path = join(folder, "none.db");
    const none = await recordRun(["doctor", "--db", path]);
    assert.equal(none.exitCode, 0);
    assert.match(none.stdout, /none yet; the first store or ingest makes it/);
    assert.equal(existsSync(path), false);
  });
});

describe("bad input", () => {
  const cases: readonly (readonly [
    code: string,
    exitCode: number,
    argv: readonly string[],
    input?: string,
  ])[] = [
    ["UNKNOWN_TIER", 2, ["store", "x", "--tier", "longterm"]],
    ["UNKNOWN_TIER", 2, ["list", "--tier", "working,longterm"]],
    ["UNKNOWN_TIER", 2, ["ingest", "docs", "--tier", "longterm"]],
    ["INVALID_IMPORTANCE", 2, ["store", "x", "--importance", "NaN"]],
    ["INVALID_IMPORTANCE", 2, ["store", "x", "--importance", "1.1"]],
    ["INVALID_IMPORTANCE", 2, ["store", "x", "--importance", ""]],
    ["EMPTY_TEXT", 2, ["store", "  "]],
    ["EMPTY_TEXT", 2, ["store", "-"], "\n"],
    ["TEXT_TOO_LARGE", 2, ["store", "-"], "x".repeat(10_000_000)],
    ["TEXT_TOO_LARGE", 2, ["store", "-"], "x".repeat(100_000)],
    ["INVALID_ARGUMENT", 2, ["recall", "x", "--limit", "0"]],
    ["INVALID_ARGUMENT", 2, ["recall", "x", "--limit", "many"]],
    ["INVALID_ARGUMENT", 2, ["recall", "x", "--mode", "magic"]],
    ["INVALID_ARGUMENT", 2, ["recall", "x", "--after", "yesterday"]],
    ["INVALID_ARGUMENT", 2, ["recall", "x", "--namespace", "two words"]],
    ["INVALID_CURSOR", 2, ["list", "--cursor", "x"]],
    ["FILE_NOT_FOUND", 6, ["ingest", "nowhere"]],
    ["NO_READABLE_FILES", 6, ["ingest", "empty"]],
    ["INVALID_UTF8", 6, ["ingest", join("docs", "broken.md")]],
    ["INVALID_UTF8", 6, ["import", join("docs", "broken.md")]],
    ["FILE_UNREADABLE", 6, ["import", join("docs", "log.md")]],
    ["FILE_UNREADABLE", 6, ["import", "docs"]],
  ];
  before(() => mkdirSync(join(folder, "empty")));
  for (const [code, exitCode, argv, input] of cases) {
    const said = argv.map((each) => JSON.stringify(each)).join(" ");
    test(`${said}${input === undefined ? "" : ` of ${input.length} characters`} ends with ${code}`, async () => {
      const done = await strata([...argv, "--json"], input === undefined ? {} : { input });
      assert.equal(done.stdout, "");
      const { error } = JSON.parse(done.stderr);
      assert.deepEqual([error.code, done.exitCode], [code, exitCode]);
    });
  }

  test("invalid UTF-8 on standard input is refused", async () => {
    const input = (async function* () {
      yield Uint8Array.of(0x61, 0xff, 0x62);
    })();
    const { exitCode, stderr } = await strata(["store", "-"], { input });
    assert.equal(exitCode, 6);
    assert.match(stderr, /\[INVALID_UTF8\]/);
  });

  test("a question hostile to query languages is a question", async () => {
    for (const question of [
      '"',
      "a AND (b OR",
      "NEAR/3 *",
      "\u0000",
      "🦊",
      "x".repeat(100_000),
      "'; drop table--",
    ]) {
      for (const verb of ["recall", "search"]) {
        const { exitCode, stderr } = await strata([verb, "--", question]);
        assert.equal(exitCode, 0, stderr);
      }
    }
  });

  test("a file that is no whole memory of this version is refused, and doctor tells why", async () => {
    const at = (name: string): string => join(folder, name);
    mkdirSync(at("folder.db"));
    writeFileSync(at("text.db"), "not a database, whatever its name says\n".repeat(100));
    const stored = await recordRun(["store", "x", "--db", at("cut.db")]);
    assert.equal(stored.exitCode, 0, stored.stderr);
    truncateSync(at("cut.db"), 6_000);
    await recordRun(["store", "x", "--db", at("newer.db")]);
    const newer = new DatabaseSync(at("newer.db"));
    newer.exec("pragma user_version = 999");
    newer.close();
    for (const [name, code] of [
      ["folder.db", "DATABASE_IS_DIRECTORY"],
      ["text.db", "NOT_A_DATABASE"],
      ["cut.db", "DATABASE_CORRUPT"],
      ["newer.db", "DATABASE_NEWER"],
    ] as const) {
      const refused = await recordRun(["recall", "x", "--json", "--db", at(name)]);
      assert.deepEqual([JSON.parse(refused.stderr).error.code, refused.exitCode], [code, 5], name);
      const doctor = await recordRun(["doctor", "--json", "--db", at(name)]);
      assert.equal(doctor.exitCode, 5, name);
      assert.equal(JSON.parse(doctor.stdout).problems[0].code, code, name);
    }
  });

  test("a snapshot is saved, compared, loaded and deleted", async () => {
    const own = ["--namespace", "snapshots"];
    const id = (await strata(["store", "Ada prefers tea", ...own])).stdout.trim();
    const none = await strata(["snapshot", "list", ...own]);
    assert.equal(none.stdout, "");
    assert.match(none.stderr, /strata snapshot save NAME/);
    const saved = await strata(["snapshot", "save", "monday", ...own]);
    assert.match(saved.stdout, /^Saved 1 memory, [\d.]+ k?B, as monday\n$/);
    assert.equal((await strata(["snapshot", "save", "monday", ...own])).exitCode, 4);
    await strata(["update", id, "--content", "Ada prefers coffee", ...own]);
    const compared = await strata(["snapshot", "diff", "monday", ...own]);
    assert.equal(compared.stdout, `~ ${id}  content\n0 added, 0 left, 1 changed, 0 unchanged\n`);
    const dry = await strata(["snapshot", "load", "monday", "--dry-run", ...own]);
    assert.match(dry.stdout, /Would bring back 0 memories, change 1; 0 unchanged/);
    const loaded = await strata(["snapshot", "load", "monday", ...own]);
    assert.match(loaded.stderr, /strata undo [0-9a-f-]{36}/);
    assert.equal((await json(["get", id, ...own])).memory.content, "Ada prefers tea");
    const { snapshots } = await json(["snapshot", "list", ...own]);
    assert.deepEqual([snapshots[0].name, snapshots[0].memories], ["monday", 1]);
    assert.match((await strata(["snapshot", "list", ...own])).stdout, /memories +size +saved +name\n +1 /);
    assert.equal((await strata(["snapshot", "delete", "monday", ...own])).stdout, "Deleted monday\n");
    assert.equal((await strata(["snapshot", "load", "monday", ...own])).exitCode, 3);
    assert.equal((await strata(["snapshot", ...own])).exitCode, 2);
  });
});

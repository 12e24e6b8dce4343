import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, suite, test } from "node:test";
import { openMemory } from "../engine/open-memory.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { type Recording, type RecordingOptions, recordRun } from "./recorded-run.ts";

const token = `npm_${"a1B2c3D4e5".repeat(4).slice(0, 36)}`;

suite("write hygiene on the command line", () => {
  let folder: string;
  let database: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "strata-hygiene-cli-"));
    database = join(folder, "memory.db");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const strata = (argv: readonly string[], options: RecordingOptions = {}): Promise<Recording> =>
    recordRun([...argv, "--db", database], { cwd: folder, ...options });
  const json = async (...argv: string[]) => JSON.parse((await strata([...argv, "--json"])).stdout);
  const ids = async () => (await json("list")).memories.map(({ id }: { readonly id: string }) => id).sort();

  async function fill(): Promise<void> {
    const clock = createManualClock(Date.now() - 1_000);
    await using memory = await openMemory({ path: database, configFile: false, clock });
    const texts = {
      a: "Ada prefers green tea in the morning",
      b: "Ada prefers green tea in the morning",
      c: "ada prefers green tea in the morning.",
      d: "!!! ???",
      e: `The token is ${token}`,
      f: "The release is planned for the 7th of May",
      g: "Ada prefers green tea in the morning, the release is planned for the 7th of May",
    };
    for (const [id, text] of Object.entries(texts)) {
      await memory.store(text, { id });
      clock.advance(1);
    }
  }

  function loseVector(): void {
    using file = new DatabaseSync(database);
    file.exec("insert into vector select 900001, model, data from vector limit 1");
  }

  suite("audit", () => {
    test("without a memory there is nothing to look at, in an empty one nothing is found", async () => {
      assert.equal((await strata(["audit"])).exitCode, 5);
      await (await openMemory({ path: database, configFile: false })).close();
      const { exitCode, stdout, stderr } = await strata(["audit", "--strict"]);
      assert.deepEqual(
        { exitCode, stdout, stderr },
        { exitCode: 0, stdout: "0 memories: nothing found\n", stderr: "" },
      );
    });

    test("each finding has its line, no text is told, and the exit code is 0", async () => {
      await fill();
      loseVector();
      const { exitCode, stdout, stderr } = await strata(["audit"]);
      assert.deepEqual([exitCode, stderr], [0, ""]);
      assert.deepEqual(stdout.trimEnd().split("\n").sort(), [
        "7 memories: 1 exact duplicate, 1 near-duplicate, 1 junk text, 1 possible secret, 1 orphan",
        "b  duplicate of a",
        "c  near-duplicate of a",
        "d  junk: no-words",
        "e  secret: npm-token at 13",
      ]);
      const echoes = await strata(["audit", "--only", "echoes"]);
      const [of] = (await json("audit", "--only", "echoes")).findings.filter(
        ({ id }: { readonly id: string }) => id === "g",
      );
      assert.deepEqual({ ...of, of: of.of.toSorted() }, { kind: "echo", id: "g", of: ["a", "b", "c", "f"] });
      assert.match(echoes.stdout, /^g {2}echo of \w(, \w){3}$/m);
      assert.match(echoes.stdout, /^7 memories: 2 echoes$/m);
    });

    test("a repair is tried first, then done, and tells the runs that undo it", async () => {
      await fill();
      loseVector();
      const tried = await strata(["audit", "--fix", "--dry-run"]);
      assert.match(tried.stdout, /\n3 would be put right\n$/);
      assert.equal((await ids()).length, 7);
      const done = await strata(["audit", "--fix"]);
      assert.match(done.stdout, /\n3 put right\nrun \S+\nrun \S+\n$/);
      assert.deepEqual(await ids(), ["a", "c", "e", "f", "g"]);
      for (const [, run] of done.stdout.matchAll(/^run (\S+)$/gm))
        assert.equal((await strata(["undo", run!])).exitCode, 0);
      assert.deepEqual(await ids(), ["a", "b", "c", "d", "e", "f", "g"]);
      assert.equal((await json("audit", "--only", "orphans")).orphans.vectorsWithoutMemory, 0);
    });

    test("strict ends with 4 when something is left", async () => {
      await fill();
      const code = async (...argv: string[]) => (await strata(["audit", "--strict", ...argv])).exitCode;
      assert.equal(await code("--only", "junk"), 4);
      assert.equal(await code("--only", "junk", "--fix", "--dry-run"), 4);
      assert.equal(await code("--only", "junk", "--fix"), 0);
      assert.equal(await code("--only", "junk"), 0);
      assert.equal(await code("--only", "secrets", "--json"), 4);
      assert.equal(await code("--only", "orphans"), 0);
      loseVector();
      assert.equal(await code("--only", "orphans"), 4);
    });

    test("the document of --json", async () => {
      await fill();
      const { runs, ...report } = await json("audit", "--only", "junk,secrets", "--fix");
      assert.deepEqual(report, {
        memories: 7,
        found: { duplicate: 0, "near-duplicate": 0, junk: 1, secret: 1, echo: 0 },
        findings: [
          { kind: "secret", id: "e", rule: "npm-token", start: 13, end: 53 },
          { kind: "junk", id: "d", reason: "no-words" },
        ],
        fixed: 1,
        dryRun: false,
      });
      assert.equal(runs.length, 1);
      const all = await json("audit", "--dry-run");
      assert.deepEqual(
        all.findings.toSorted((one: { id: string }, two: { id: string }) => (one.id < two.id ? -1 : 1)),
        [
          { kind: "duplicate", id: "b", of: "a" },
          { kind: "near-duplicate", id: "c", of: "a" },
          { kind: "secret", id: "e", rule: "npm-token", start: 13, end: 53 },
        ],
      );
      assert.deepEqual(new Set(Object.values(all.orphans)), new Set([0]));
      assert.equal(all.dryRun, true);
    });

    test("findings beyond the limit are counted", async () => {
      await fill();
      const { stdout } = await strata(["audit", "--limit", "1"]);
      assert.match(stdout, /^\S+ .*\nand 3 more\n7 memories: /);
    });

    test("what is no check, and a limit that is none, are refused", async () => {
      await fill();
      for (const argv of [
        ["--only", "all"],
        ["--only", ""],
        ["--limit", "-1"],
      ]) {
        const { exitCode, stdout, stderr } = await strata(["audit", ...argv]);
        assert.deepEqual([exitCode, stdout], [2, ""], argv.join(" "));
        assert.match(stderr, /^error: /);
      }
    });

    test("a terminal sees how far it is, and the line is gone at the end", async () => {
      await fill();
      const { stderr } = await strata(["audit", "--no-color"], { terminal: true });
      const line = "\r\u001b[K";
      assert.ok(stderr.startsWith(line));
      assert.match(stderr.slice(line.length), /^\d memor\w+ · \d findings?/);
      assert.ok(stderr.endsWith(line));
      for (const flag of ["--quiet", "--json"])
        assert.equal((await strata(["audit", flag], { terminal: true })).stderr, "");
    });
  });

  suite("store and update", () => {
    test("the same text again is the memory that is there, unless another is asked for", async () => {
      const first = await json("store", "Ada prefers tea");
      const again = await json("store", "Ada prefers tea");
      assert.deepEqual([again.outcome, again.memory.id, again.flags], ["existing", first.memory.id, []]);
      const other = await json("store", "Ada prefers tea", "--on-duplicate", "store");
      assert.equal(other.outcome, "stored");
      assert.match((await strata(["store", "Ada prefers tea"])).stderr, /^It was there already/);
    });

    test("the same in another form is stored, told, or returned", async () => {
      const { memory } = await json("store", "Ada prefers tea in the morning.");
      const form = "ada prefers tea in the morning";
      const strict = await json("store", form, "--on-similar", "return", "--similarity", "1", "--id", "x");
      assert.equal(strict.outcome, "stored");
      await strata(["forget", "x"]);
      const told = await strata(["store", form, "--on-similar", "flag", "--id", "y"]);
      assert.equal(told.stdout, "y\n");
      assert.match(told.stderr, new RegExp(`warning: The same in another form: ${memory.id}\\.\n$`));
      await strata(["forget", "y"]);
      const returned = await json("store", form, "--on-similar", "return");
      assert.deepEqual(
        [returned.outcome, returned.memory.id, returned.flags, returned.similar],
        ["existing", memory.id, ["similar"], memory.id],
      );
    });

    test("what looks like a credential is told, refused or passed over, and never printed", async () => {
      const text = `The token is ${token}`;
      const told = await strata(["store", text, "--id", "a"]);
      assert.match(
        told.stderr,
        /warning: At character 13 stands what looks like a credential \(npm-token\)\.\n$/,
      );
      const { flags, secrets } = await json("store", text, "--id", "b");
      assert.deepEqual([flags, secrets], [["secret"], [{ rule: "npm-token", start: 13, end: 53 }]]);
      const passed = await strata(["store", text, "--id", "c", "--on-secret", "off", "--json"]);
      assert.deepEqual([JSON.parse(passed.stdout).flags, passed.stderr], [[], ""]);
      const refused = await strata(["store", text, "--id", "d", "--on-secret", "refuse"]);
      assert.deepEqual([refused.exitCode, refused.stdout], [4, ""]);
      assert.match(refused.stderr, /\[SECRET_DETECTED\]/);
      await strata(["store", "harmless", "--id", "e"]);
      const update = ["update", "e", "--content", text];
      assert.match((await strata([...update, "--on-secret", "refuse"])).stderr, /\[SECRET_DETECTED\]/);
      assert.equal((await json("get", "e")).memory.content, "harmless");
      const changed = await strata([...update, "--json"]);
      assert.deepEqual(JSON.parse(changed.stdout).secrets, secrets);
      for (const said of [told, passed, refused, changed]) assert.ok(!said.stderr.includes(token));
    });

    test("a policy that does not exist is refused", async () => {
      for (const flag of ["--on-duplicate", "--on-similar", "--on-secret", "--similarity"])
        assert.equal((await strata(["store", "text", flag, "ask"])).exitCode, 2, flag);
    });
  });
});

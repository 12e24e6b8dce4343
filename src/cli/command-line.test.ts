import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { commandTable } from "./command-table.ts";
import { recordRun } from "./recorded-run.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-cli-"));
const missing = join(folder, "none", "memory.db");
after(() => rmSync(folder, { recursive: true }));

describe("the command line", () => {
  test("alone it shows the help, on standard output", async () => {
    const { exitCode, stdout, stderr } = await recordRun([]);
    assert.equal(exitCode, 0);
    assert.equal(stderr, "");
    for (const { name, hidden } of commandTable)
      assert.equal(new RegExp(`^ {2}${name} `, "m").test(stdout), hidden !== true, name);
    assert.deepEqual(await recordRun(["--help"]), { exitCode, stdout, stderr });
  });

  for (const { name, hidden } of commandTable.filter((row) => row.hidden !== true)) {
    test(`${name} --help shows its options, the global ones and examples`, async () => {
      assert.equal(hidden, undefined);
      const { exitCode, stdout, stderr } = await recordRun([name, "--help"]);
      assert.equal(exitCode, 0);
      assert.equal(stderr, "");
      assert.match(stdout, new RegExp(`^Usage: strata ${name} `));
      assert.match(stdout, /--namespace <name>/);
      assert.match(stdout, /\nExamples:\n {2}\S/);
      assert.deepEqual(await recordRun(["help", name]), { exitCode, stdout, stderr });
    });
  }

  test("an unknown command is refused with the nearest one", async () => {
    const { exitCode, stdout, stderr } = await recordRun(["recal", "x"]);
    assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: "" });
    assert.equal(stderr, "error: Unknown command 'recal'; did you mean recall? [INVALID_ARGUMENT]\n");
  });

  test("an unknown option is refused with the nearest one", async () => {
    const { exitCode, stderr } = await recordRun(["recall", "x", "--limt", "3"]);
    assert.equal(exitCode, 2);
    assert.equal(stderr, "error: Unknown option '--limt'; did you mean --limit? [UNKNOWN_OPTION]\n");
  });

  test("a text that looks like an option is told where to go", async () => {
    const { exitCode, stderr } = await recordRun(["store", "- buy milk"]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /Text that begins with "-" goes after "--"\./);
  });

  test("a missing argument or value is refused", async () => {
    assert.equal((await recordRun(["recall"])).exitCode, 2);
    assert.equal((await recordRun(["recall", "x", "--limit"])).exitCode, 2);
    assert.equal((await recordRun(["ingest", "-"])).exitCode, 2);
    assert.equal((await recordRun(["forget"])).exitCode, 2);
    assert.equal((await recordRun(["update", "x"])).exitCode, 2);
    assert.equal((await recordRun(["update", "x", "--unset", "content"])).exitCode, 2);
    assert.equal((await recordRun(["recall", "x", "--metadata", "key"])).exitCode, 2);
    assert.equal((await recordRun(["completion", "csh"])).exitCode, 2);
  });

  test("under --json an error is one JSON object on standard error", async () => {
    const { exitCode, stdout, stderr } = await recordRun(["list", "--limt", "3", "--json"]);
    assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: "" });
    assert.deepEqual(JSON.parse(stderr), {
      error: {
        code: "UNKNOWN_OPTION",
        message: "Unknown option '--limt'; did you mean --limit?",
        retryable: false,
      },
    });
  });

  for (const argv of [
    ["recall", "x"],
    ["search", "x"],
    ["get", "x"],
    ["list"],
    ["documents"],
    ["namespaces"],
    ["stats"],
    ["update", "x", "--importance", "1"],
    ["pin", "x"],
    ["forget", "x"],
    ["clear", "x", "--yes"],
    ["cleanup"],
    ["journal"],
    ["export"],
  ]) {
    test(`${argv[0]} makes no file where there is none, and says how to make one`, async () => {
      const { exitCode, stdout, stderr } = await recordRun([...argv, "--db", missing]);
      assert.deepEqual({ exitCode, stdout }, { exitCode: 5, stdout: "" });
      assert.match(stderr, /\[DATABASE_NOT_FOUND\]/);
      assert.ok(stderr.includes(missing));
      assert.match(stderr, /strata ingest FOLDER/);
      assert.equal(existsSync(join(folder, "none")), false);
    });
  }
});

describe("colour", () => {
  const red = "\u001b[31m";
  const cases = [
    { says: "is off where no terminal is", terminal: false, environment: {}, argv: [], coloured: false },
    { says: "is on at a terminal", terminal: true, environment: {}, argv: [], coloured: true },
    { says: "obeys NO_COLOR", terminal: true, environment: { NO_COLOR: "1" }, argv: [], coloured: false },
    {
      says: "takes an empty NO_COLOR as none",
      terminal: true,
      environment: { NO_COLOR: "" },
      argv: [],
      coloured: true,
    },
    {
      says: "obeys FORCE_COLOR",
      terminal: false,
      environment: { FORCE_COLOR: "1" },
      argv: [],
      coloured: true,
    },
    {
      says: "obeys FORCE_COLOR=0",
      terminal: true,
      environment: { FORCE_COLOR: "0" },
      argv: [],
      coloured: false,
    },
    {
      says: "is off at a dumb terminal",
      terminal: true,
      environment: { TERM: "dumb" },
      argv: [],
      coloured: false,
    },
    {
      says: "obeys --no-color before FORCE_COLOR",
      terminal: true,
      environment: { FORCE_COLOR: "1" },
      argv: ["--no-color"],
      coloured: false,
    },
  ];
  for (const { says, terminal, environment, argv, coloured } of cases) {
    test(says, async () => {
      const { stderr } = await recordRun(["recal", ...argv], { terminal, environment });
      assert.equal(stderr.includes(red), coloured);
      const help = await recordRun(["pin", "--help", ...argv], { terminal, environment });
      assert.equal(help.stdout.includes("\u001b["), coloured);
    });
  }
});

describe("init", () => {
  test("makes a .strata folder that no repository takes in, once", async () => {
    const first = await recordRun(["init", "--json"], { cwd: folder });
    assert.deepEqual(JSON.parse(first.stdout), { folder: join(folder, ".strata"), created: true });
    assert.equal(readFileSync(join(folder, ".strata", ".gitignore"), "utf8"), "*\n");
    const second = await recordRun(["init"], { cwd: folder });
    assert.equal(second.exitCode, 0);
    assert.equal(second.stdout, `${join(folder, ".strata")}\n`);
    assert.match(second.stderr, /there already/);
  });
});

describe("completion", () => {
  const complete = async (...words: string[]) => {
    const { exitCode, stdout } = await recordRun(["complete", "--", ...words]);
    assert.equal(exitCode, 0);
    const lines = stdout.trimEnd().split("\n");
    return { directive: lines.pop(), values: lines.map((line) => line.split("\t")[0]) };
  };

  test("completes commands by their beginning", async () => {
    const values = ["recall", "research", "reembed", "restore"];
    assert.deepEqual(await complete("re"), { directive: ":4", values });
    const all = await complete("");
    assert.ok(all.values.includes("ingest") && !all.values.includes("complete"));
  });

  test("completes a command's options and the global ones", async () => {
    assert.deepEqual((await complete("recall", "--min")).values, ["--min-score", "--min-importance"]);
    assert.deepEqual((await complete("recall", "--na")).values, ["--namespace"]);
  });

  test("completes values that are one of few", async () => {
    assert.deepEqual((await complete("list", "--tier", "s")).values, ["short_term", "semantic"]);
    assert.deepEqual((await complete("completion", "")).values, ["bash", "zsh", "fish", "powershell"]);
  });

  test("leaves paths to the shell, and offers none where none belongs", async () => {
    assert.equal((await complete("ingest", "do")).directive, ":0");
    assert.equal((await complete("ingest", "docs", "")).directive, ":0");
    assert.equal((await complete("recall", "x", "--db", "")).directive, ":0");
    assert.equal((await complete("recall", "x", "--thread", "")).directive, ":4");
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Interrupted } from "./interrupted.ts";
import { type Recording, type RecordingOptions, recordRun } from "./recorded-run.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-reembed-command-"));
const configured = join(folder, "strata.toml");
let server: Server;
let model: string;
/** Called before each answer of the service. */
let onCall: (texts: readonly string[]) => void = () => {};
let db = "";
let files = 0;

before(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { input } = JSON.parse(Buffer.concat(parts).toString()) as { input: string[] };
      onCall(input);
      const data = input.map((text, index) => ({ index, embedding: [text.length, text.charCodeAt(0), 1] }));
      response.end(JSON.stringify({ data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  model = `http:${url}#tiny`;
  writeFileSync(configured, `[embedding]\nprovider = "http"\nurl = "${url}"\nmodel = "tiny"\n`);
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  onCall = () => {};
  db = join(folder, `memory-${files++}.db`);
  for (const text of ["Ada prefers tea", "Ben prefers coffee", "Cleo prefers water"])
    await strata(["store", text]);
});

const strata = (argv: readonly string[], options?: RecordingOptions): Promise<Recording> =>
  recordRun(["--db", db, ...argv], { cwd: folder, ...options });
const withNew = (argv: readonly string[], options?: RecordingOptions) =>
  strata(["--config", configured, ...argv], options);

describe("strata reembed", () => {
  test("embeds all memories by the configured model, and says so", async () => {
    const done = await withNew(["reembed"]);
    assert.equal(done.exitCode, 0, done.stderr);
    assert.match(
      done.stdout,
      /^Embedded 3 texts by http\/127\.0\.0\.1:\d+\/tiny; 3 vectors of other models dropped\.\n$/,
    );
    assert.match(done.stderr, /^Took .+ texts\/s\.\n$/);
    const again = await withNew(["reembed"]);
    assert.match(again.stdout, /^Every memory has a vector of http\/\S+ already\.\n$/);
    const { hits } = JSON.parse((await withNew(["recall", "who prefers tea?", "--json"])).stdout);
    assert.match(hits[0].memory.model, /^http\//);
  });

  test("before it is done the former model answers; where it cannot, the answer says how many were skipped", async () => {
    const before = JSON.parse((await withNew(["recall", "who prefers tea?", "--json", "--explain"])).stdout);
    assert.match(before.explanation.request.model, /^builtin\//);
    assert.equal(before.skipped, undefined);
    await withNew(["reembed"]);
    const after = await strata(["recall", "who prefers tea?"]);
    assert.match(
      after.stderr,
      /^3 memories have no vector of this model and were looked for by words alone\. Embed with: strata reembed\n$/,
    );
    assert.equal(JSON.parse((await strata(["recall", "who prefers tea?", "--json"])).stdout).skipped, 3);
    assert.match((await strata(["research", "tea?", "water?"])).stderr, /strata reembed/);
  });

  test("statistics and doctor tell that models are mixed, and what to do", async () => {
    const sound = await strata(["doctor"]);
    assert.deepEqual([sound.exitCode, /All is well/.test(sound.stdout)], [0, true]);
    await withNew(["reembed", "--keep"]);
    const stats = await strata(["stats"]);
    assert.match(
      stats.stdout,
      /3 embedded by builtin\/\S+\n3 embedded by http\/\S+\nvectors of several models; make them one with: strata reembed\n/,
    );
    assert.equal((await withNew(["doctor"])).exitCode, 0);
    await withNew(["reembed"]);
    const foreign = await strata(["doctor"]);
    assert.equal(foreign.exitCode, 5);
    assert.match(
      foreign.stdout,
      /3 memories have no vector of the model in use, builtin\/\S+, but of http\/\S+\. Embed them with: strata reembed --all/,
    );
  });

  test("a dry run tells what there is to do and calls no model for it", async () => {
    const texts: string[] = [];
    onCall = (input) => texts.push(...input);
    const { stdout } = await strata(["reembed", "--model", model, "--dry-run"]);
    assert.match(
      stdout,
      /^Would embed 3 texts, \d+ tokens, by http\/\S+; would drop 3 vectors of other models\.\n$/,
    );
    assert.deepEqual(texts, ["dimensions"]);
    const report = JSON.parse((await strata(["reembed", "--model", model, "--dry-run", "--json"])).stdout);
    assert.deepEqual(Object.keys(report), [
      "model",
      "dryRun",
      "complete",
      "namespaces",
      "embedded",
      "unknown",
      "failed",
      "dropped",
      "tokens",
      "elapsedMs",
    ]);
    assert.deepEqual([report.complete, report.embedded, report.dropped], [false, 3, 3]);
    assert.match((await strata(["stats"])).stdout, /3 embedded by builtin/);
  });

  test("a model named on the command line is to be named in the configuration too", async () => {
    const done = await strata(["reembed", "--model", model, "--batch", "2"]);
    assert.equal(done.exitCode, 0, done.stderr);
    assert.match(done.stderr, /Name the model under \[embedding\] in the configuration/);
  });

  test("interrupted, it says how to go on, and goes on", async () => {
    const stop = new AbortController();
    onCall = (texts) => {
      if (texts.includes("Cleo prefers water")) stop.abort(new Interrupted(130));
    };
    const first = await withNew(["reembed", "--batch", "1"], { signal: stop.signal });
    assert.equal(first.exitCode, 130);
    assert.equal(first.stderr, "What was embedded is kept. Go on with the same command.\n");
    onCall = () => {};
    const second = await withNew(["reembed", "--json"]);
    assert.deepEqual(JSON.parse(second.stdout).embedded, 1);
    assert.equal(JSON.parse(second.stdout).dropped, 3);
  });

  test("progress is drawn on a terminal", async () => {
    const { stderr } = await withNew(["reembed", "--batch", "1"], { terminal: true });
    assert.match(stderr, /1 of 3 memories · [\d,]+\/s/);
  });

  test("a text on which the model fails is told, with the exit code of models", async () => {
    const failing = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { input } = JSON.parse(Buffer.concat(parts).toString()) as { input: string[] };
        response.statusCode = input.some((text) => text.startsWith("Ben")) ? 422 : 200;
        response.end(
          JSON.stringify({ data: input.map((_, index) => ({ index, embedding: [1, index + 1] })) }),
        );
      });
    });
    await new Promise<void>((resolve) => failing.listen(0, "127.0.0.1", resolve));
    try {
      const name = `http:http://127.0.0.1:${(failing.address() as AddressInfo).port}/v1#strict`;
      const { exitCode, stdout, stderr } = await strata(["reembed", "--model", name]);
      assert.equal(exitCode, 7);
      assert.match(stdout, /^Embedded 2 texts by /);
      assert.match(stderr, /warning: The model failed on 1 text, which keep the vectors they have/);
      assert.match((await strata(["recall", "Ben"])).stderr, /^$/);
    } finally {
      failing.closeAllConnections();
      failing.close();
    }
  });
});

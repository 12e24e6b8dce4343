import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { apiKeyOf } from "./model-key.ts";
import { recordRun } from "./recorded-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "strata-model-command-"));
after(() => rmSync(scratch, { recursive: true }));
const stored = join(scratch, "stored");

/** Files that pass for a model as long as nobody computes. */
function localModel(): string {
  const folder = join(scratch, "brought");
  mkdirSync(join(folder, "onnx"), { recursive: true });
  for (const file of ["tokenizer.json", "config.json", "onnx/model.onnx"])
    writeFileSync(join(folder, file), "{}");
  return folder;
}

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await recordRun(["model", ...args, "--json"]);
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout);
}

suite("strata model", () => {
  test("a pulled folder is listed beside the built-in model", async () => {
    assert.deepEqual((await json("list", "--folder", stored))["models"], ["builtin"]);
    const pulled = await json("pull", localModel(), "--id", "org/mine", "--folder", stored);
    assert.equal(pulled["id"], "org/mine");
    assert.deepEqual((await json("list", "--folder", stored))["models"], ["builtin", "org/mine"]);
    const { stdout } = await recordRun(["model", "list", "--folder", stored]);
    assert.match(stdout, /org\/mine +6 B {2}\S+brought/);
  });

  test("info tells what a model is", async () => {
    const facts = await json("info", "builtin");
    assert.equal(facts["dimensions"], 256);
    assert.match(String(facts["id"]), /^builtin\//);
  });

  test("info finds a file of a stored model that changed", async () => {
    await json("pull", localModel(), "--id", "changed", "--folder", stored);
    writeFileSync(join(stored, "changed/config.json"), "[]");
    const { exitCode, stderr } = await recordRun(["model", "info", "changed", "--folder", stored]);
    assert.equal(exitCode, 6);
    assert.match(stderr, /config\.json.*CHECKSUM_MISMATCH/s);
  });

  test("bench measures models and names every device", async () => {
    const { models, devices } = await json("bench", "--texts", "10");
    const [builtin] = models as Record<string, unknown>[];
    assert.equal(builtin?.["model"], "builtin");
    assert.ok(Number(builtin?.["shortTextsPerSecond"]) > 0);
    assert.deepEqual(
      (devices as { readonly device: string }[]).map(({ device }) => device),
      ["cuda", "webgpu", "cpu"],
    );
  });

  for (const [what, args, code] of [
    ["a model of no known form", ["info", "minilm"], "INVALID_ARGUMENT"],
    ["a stored model that is not there", ["info", "onnx:no/such"], "MODEL_NOT_FOUND"],
    ["too few texts", ["bench", "--texts", "few"], "INVALID_ARGUMENT"],
    ["nothing to do", [], "INVALID_ARGUMENT"],
    ["an unknown action", ["fetch"], "INVALID_ARGUMENT"],
  ] as const) {
    test(`${what} is an error with its code`, async () => {
      const { exitCode, stderr } = await recordRun(["model", ...args, "--json"]);
      assert.notEqual(exitCode, 0);
      assert.equal(JSON.parse(stderr).error.code, code, stderr);
    });
  }
});

suite("the key of a model behind HTTP", () => {
  const environment = { OPENAI_API_KEY: "openai", MINE: "mine", EMPTY: "" };
  const openai = "http:https://api.openai.com/v1#text-embedding-3-small";

  test("is the one its service names, sent to that host alone", () => {
    assert.equal(apiKeyOf(openai, undefined, environment), "openai");
    assert.equal(apiKeyOf("http://localhost:11434/v1#m", undefined, environment), undefined);
    assert.equal(apiKeyOf("https://api.openai.com.evil.example/v1#m", undefined, environment), undefined);
    assert.equal(apiKeyOf("builtin", undefined, environment), undefined);
  });

  test("is that of the variable named", () => {
    assert.equal(apiKeyOf("http://localhost/v1#m", "MINE", environment), "mine");
    for (const missing of ["EMPTY", "NONE"])
      assert.throws(() => apiKeyOf(openai, missing, environment), { code: "INVALID_ARGUMENT" });
  });
});

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "strata-output-"));
after(() => rmSync(folder, { recursive: true }));

/** A program that has `output` and `loaded()`, the modules of Node that are loaded. */
function program(body: string, options = ""): string[] {
  const url = new URL("./standard-output.ts", import.meta.url).href;
  const code = `
    import { writeSync } from "node:fs";
    import { StandardOutput } from ${JSON.stringify(url)};
    const output = new StandardOutput(1${options});
    const loaded = (name) => process.moduleLoadList.includes("NativeModule " + name);
    ${body}`;
  return ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", code];
}

test("text goes whole into a pipe, however slow its reader is, and no stream is made for it", async () => {
  const body = `output.write("é".repeat(500_000)); output.write("end"); process.exitCode = loaded("net") ? 3 : 0;`;
  const child = spawn(process.execPath, program(body), { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  await new Promise((resolve) => setImmediate(resolve));
  child.stdout.setEncoding("utf8").on("data", (part) => {
    text += part;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.deepEqual(
    { code, length: text.length, end: text.slice(-3) },
    { code: 0, length: 500_003, end: "end" },
  );
});

test("text goes into a file", () => {
  const path = join(folder, "out.txt");
  const file = openSync(path, "w");
  const { status } = spawnSync(process.execPath, program(`output.write("one\\n"); output.write("two\\n");`), {
    stdio: ["ignore", file, "inherit"],
  });
  closeSync(file);
  assert.deepEqual({ status, text: readFileSync(path, "utf8") }, { status: 0, text: "one\ntwo\n" });
});

test("what a pipe that does not wait has no room for goes through a stream, in order", () => {
  const options = `, { write: (descriptor, bytes) => {
    if (bytes.length > 3) return writeSync(descriptor, bytes.subarray(0, 2));
    throw Object.assign(new Error("full"), { code: "EAGAIN" });
  } }`;
  const { stdout, status } = spawnSync(
    process.execPath,
    program(`output.write("abcdefg"); output.write("hij");`, options),
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "abcdefghij" });
});

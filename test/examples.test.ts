import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { publicEntries, readManifest, root, runCommand } from "../scripts/repository.ts";
import { blocksOf, type Example, findExamples } from "./examples.ts";

const examples = findExamples();
const work = mkdtempSync(join(tmpdir(), "strata-examples-"));
after(() => rmSync(work, { recursive: true, force: true }));

/** Each example gets a folder of its own that looks like a user's project: documents to ingest, no memory yet. */
function projectOf(example: Example, index: number): string {
  const folder = join(work, String(index));
  cpSync(join(root, "docs"), join(folder, "docs"), { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder, "example.ts"), example.code);
  return folder;
}

const projects = examples.map(projectOf);

describe("what documentation shows", () => {
  test("type-checks", () => {
    const manifest = readManifest();
    const paths: Record<string, string[]> = {};
    for (const [door, source] of publicEntries(manifest)) {
      paths[door.replace(".", manifest.name)] = [join(root, source)];
    }
    const compilerOptions = {
      // A reader's example may show a value it does not use.
      noUnusedLocals: false,
      isolatedDeclarations: false,
      declaration: false,
      typeRoots: [join(root, "node_modules/@types")],
      paths,
    };
    const files = projects.map((folder) => join(folder, "example.ts"));
    const config = { extends: join(root, "tsconfig.json"), compilerOptions, files, include: [] };
    writeFileSync(join(work, "tsconfig.json"), JSON.stringify(config));
    if (files.length > 0) runCommand("tsc", ["-p", work]);
  });

  for (const [index, { origin }] of examples.entries()) {
    test(`runs: ${origin}`, async () => {
      const folder = projects[index] ?? "";
      const preload = pathToFileURL(join(root, "test/source-resolution.ts")).href;
      const child = spawn(process.execPath, ["--import", preload, "example.ts"], {
        cwd: folder,
        // No example may touch the memory of whoever runs the tests.
        env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder },
        stdio: ["ignore", "ignore", "pipe"],
      });
      const [errors, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
      assert.equal(code, 0, errors);
    });
  }
});

describe("the reader of examples", () => {
  const fence = "```";

  test("joins a continued block to the one before it", () => {
    const page = `${fence}ts\nconst a = 1;\n${fence}\nThen:\n${fence}ts continued\nconst b = a;\n${fence}\n`;
    assert.deepEqual(blocksOf("page.md", page), [
      { origin: "page.md:1", code: "const a = 1;\nconst b = a;\n" },
    ]);
  });

  test("leaves out fragments and other languages, and refuses a mark it does not know", () => {
    const page = `${fence}sh\nls\n${fence}\n${fence}ts fragment\nconst a: A;\n${fence}\n`;
    assert.deepEqual(blocksOf("page.md", page), []);
    assert.throws(() => blocksOf("page.md", `${fence}ts run\n${fence}\n`), /page\.md:1: .*"run"/);
  });
});

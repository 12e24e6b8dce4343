import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { root } from "../scripts/repository.ts";
import { findCycle, parseSource, readSources, roomOf, type SourceFile } from "./import-graph.ts";

const stages = [
  "chunking",
  "embedding",
  "storage",
  "retrieval",
  "caching",
  "consolidation",
  "monitoring",
  "tuning",
  "config",
];
const surfaces = ["server", "mcp", "adapters"];

/** Room by room, the rooms it may import beside itself. "" is what stands at the top of src/: the public names. */
const walls: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  ...Object.fromEntries(stages.map((room) => [room, ["contract"]])),
  testing: ["contract"],
  engine: ["contract", ...stages],
  ...Object.fromEntries(surfaces.map((room) => [room, ["contract", "engine", "monitoring"]])),
  cli: ["contract", ...stages, "engine", ...surfaces],
  "": ["contract", ...stages, "engine"],
};

const files = readSources();
const isTest = (path: string) => path.endsWith(".test.ts");
const program = files.filter((file) => !isTest(file.path));

function crossings(of: readonly SourceFile[], table: typeof walls): string[] {
  return of.flatMap(({ path, imports }) => {
    const room = roomOf(path);
    const open = [room, ...(table[room] ?? []), ...(isTest(path) ? ["testing"] : [])];
    return imports
      .filter((target) => target.startsWith("../") || !open.includes(roomOf(target)))
      .map((target) => `${path} imports ${target}`);
  });
}

/** Files outside `rooms` that name one of the parts. */
function naming(parts: readonly string[], rooms: readonly string[]): string[] {
  return program.flatMap(({ path, globals }) =>
    globals
      .filter((part) => parts.includes(part) && !rooms.includes(roomOf(path)))
      .map((part) => `${path} names ${part}`),
  );
}

describe("import walls", () => {
  test("every room imports only the rooms it may, in types too", () => {
    assert.ok(program.length > 0);
    assert.deepEqual(crossings(files, walls), []);
  });

  test("every folder of src is a room of the table", () => {
    const unknown = files.map((file) => roomOf(file.path)).filter((room) => !Object.hasOwn(walls, room));
    assert.deepEqual([...new Set(unknown)], []);
  });

  test("every relative import names a file that exists", () => {
    const missing = files.flatMap(({ path, imports }) =>
      imports
        .filter((target) => !existsSync(join(root, "src", target)))
        .map((target) => `${path}: ${target}`),
    );
    assert.deepEqual(missing, []);
  });

  test("no file imports itself by way of others, in types too", () => {
    assert.equal(findCycle(files)?.join(" → "), undefined);
  });

  test("only config reads the environment", () => {
    assert.deepEqual(naming(["process.env", "process.*", "process.loadEnvFile"], ["config"]), []);
  });

  test("only the command writes to standard output", () => {
    const writers = ["process.stdout", "console.log", "console.info", "console.debug", "console.table"];
    assert.deepEqual(naming([...writers, "console.dir", "console.*"], ["cli"]), []);
  });

  test("names are exported one by one, from files called after their concept", () => {
    const misnamed = files.filter(
      ({ path }) =>
        !/^([a-z0-9-]+\/)*[a-z0-9-]+(\.[a-z0-9]+)*\.ts$/.test(path) ||
        /\/(index|utils|helpers)(\.test)?\.ts$|\/(utils|helpers)\//.test(path),
    );
    assert.deepEqual(
      misnamed.map((file) => file.path),
      [],
    );
    assert.deepEqual(
      files.filter((file) => file.hasDefaultExport).map((file) => file.path),
      [],
    );
  });
});

describe("the checker of walls", () => {
  test("sees imports of every form", () => {
    const { imports } = parseSource(
      "engine/a.ts",
      `import { b } from "./b.ts";
       import type { C } from "../contract/c.ts";
       export { d } from "./d.ts";
       export type { E } from "./e.ts";
       export * from "./f.ts";
       type G = import("./g.ts").G;
       const h = await import("./h.ts");
       new Worker(new URL("./i.ts", import.meta.url));
       import fs from "node:fs";`,
    );
    assert.deepEqual(imports.toSorted(), [
      "contract/c.ts",
      ...["b", "d", "e", "f", "g", "h", "i"].map((name) => `engine/${name}.ts`),
    ]);
  });

  test("sees the environment however it is written", () => {
    const forms = [
      "process.env.HOME",
      "process['env']",
      "const { env } = process",
      'import { env } from "node:process"',
      "globalThis.process.env",
    ];
    for (const form of forms) {
      assert.deepEqual(parseSource("a.ts", form).globals, ["process.env"], form);
    }
  });

  test("reports a stage that imports another stage", () => {
    const file = parseSource("storage/a.ts", 'import type { B } from "../retrieval/b.ts";');
    assert.deepEqual(crossings([file], walls), ["storage/a.ts imports retrieval/b.ts"]);
  });

  test("reports a cycle of type imports", () => {
    const one = parseSource("a.ts", 'import type { B } from "./b.ts";');
    const two = parseSource("b.ts", 'import type { A } from "./a.ts";');
    assert.deepEqual(findCycle([one, two]), ["a.ts", "b.ts", "a.ts"]);
  });
});

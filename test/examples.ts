import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";
import { publicEntries, readManifest, root } from "../scripts/repository.ts";

/** A program a reader may copy. */
export interface Example {
  /** File and line it starts on, for the test's title. */
  readonly origin: string;
  readonly code: string;
}

/**
 * Every program shown to users, each whole: the files of examples/, and the `ts` blocks of the README, of the guide
 * and of `@example` in the source.
 *
 * A block marked `ts continued` goes on where the block before it in its file ended; one marked `ts fragment` cannot
 * run (it needs a server, or shows a shape) and is left out.
 */
export function findExamples(): Example[] {
  const at = (pattern: string) => globSync(pattern, { cwd: root }).toSorted();
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  return [
    ...at("examples/*.ts").map((path) => ({ origin: path, code: read(path) })),
    ...["README.md", ...at("docs/guide/**/*.md")].flatMap((path) => blocksOf(path, read(path))),
    ...at("src/**/*.ts").flatMap((path) => blocksOf(path, commentsOf(read(path))).map(withImports)),
  ];
}

/** The `ts` blocks of a Markdown text, continued ones joined. */
export function blocksOf(path: string, markdown: string): Example[] {
  const examples: Example[] = [];
  for (const match of markdown.matchAll(/^```ts(?: (\w+))?\n(.*?)^```$/gms)) {
    const [, mark, code = ""] = match;
    const line = markdown.slice(0, match.index).split("\n").length;
    const last = examples.at(-1);
    if (mark === undefined) examples.push({ origin: `${path}:${line}`, code });
    else if (mark === "continued" && last) examples.splice(-1, 1, { ...last, code: last.code + code });
    else if (mark !== "fragment") throw new Error(`${path}:${line}: a ts block is marked "${mark}"`);
  }
  return examples;
}

/** An example beside the source it documents may leave out the import of public names. */
function withImports(example: Example): Example {
  if (/^import /m.test(example.code)) return example;
  const imports = publicNames().flatMap(([door, names]) => {
    const used = names.filter((name) => new RegExp(`\\b${name}\\b`).test(example.code));
    return used.length > 0 ? [`import { ${used.join(", ")} } from "${door}";\n`] : [];
  });
  return { ...example, code: imports.join("") + example.code };
}

/** What each public door exports, by the specifier a user imports it with. */
function publicNames(): [door: string, names: string[]][] {
  const manifest = readManifest();
  return [...publicEntries(manifest)].map(([door, path]) => {
    const file = join(root, path);
    const source = existsSync(file) ? readFileSync(file, "utf8") : "";
    const { staticExports } = parseSync(file, source).module;
    const names = staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ exportName }) => (exportName.name === null ? [] : [exportName.name])),
    );
    return [door.replace(".", manifest.name), names];
  });
}

/** The documentation comments of a source file as text, every other line emptied so that line numbers stay. */
function commentsOf(source: string): string {
  let inside = false;
  return source
    .split("\n")
    .map((line) => {
      if (/^\s*\/\*\*/.test(line)) inside = true;
      const text = inside ? line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, "") : "";
      if (/\*\/\s*$/.test(line)) inside = false;
      return text;
    })
    .join("\n");
}

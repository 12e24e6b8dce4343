import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { type Node, parseSync, visitorKeys } from "oxc-parser";
import { root } from "../scripts/repository.ts";

/** What one source file reaches. Paths are from src/, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  /** Files it imports, type imports, re-exports, `import("…")` in types and worker URLs included. */
  readonly imports: readonly string[];
  /** Parts of `process` and of `console` it names. */
  readonly globals: readonly string[];
  readonly hasDefaultExport: boolean;
}

/** Every TypeScript file under src/, tests included. */
export function readSources(): SourceFile[] {
  const source = join(root, "src");
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".as.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => parseSource(relative(source, path).split(sep).join("/"), readFileSync(path, "utf8")));
}

/** Reads one file; exported so that the checker itself can be tested on text. */
export function parseSource(path: string, text: string): SourceFile {
  const { program, module, errors } = parseSync(path, text, { sourceType: "module" });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const specifiers = new Set<string>();
  const globals = new Set<string>();
  for (const { moduleRequest } of module.staticImports) specifiers.add(moduleRequest.value);
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest } of entries) if (moduleRequest) specifiers.add(moduleRequest.value);
  }
  walk(program, (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) specifiers.add(specifier);
    for (const name of globalsOf(node)) globals.add(name);
  });
  return {
    path,
    imports: [...specifiers]
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => posix.normalize(posix.join(posix.dirname(path), specifier))),
    globals: [...globals],
    hasDefaultExport: module.staticExports.some(({ entries }) =>
      entries.some(({ exportName }) => exportName.kind === "Default"),
    ),
  };
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const key of visitorKeys[node.type] ?? []) {
    const child: unknown = Reflect.get(node, key);
    for (const each of Array.isArray(child) ? child : [child]) if (each) walk(each, visit);
  }
}

/** The module a node names, where it is no import statement: `import("…")`, its form in types, `new URL("….ts", …)`. */
function specifierOf(node: Node): string | undefined {
  if (node.type === "ImportExpression") return stringOf(node.source);
  if (node.type === "TSImportType") return stringOf(node.source);
  if (node.type !== "NewExpression" || nameOf(node.callee) !== "URL") return undefined;
  const target = node.arguments[0] && stringOf(node.arguments[0]);
  return target?.endsWith(".ts") ? target : undefined;
}

/** `process.env`, however it is written: as a member, out of a pattern, or imported by name. */
function globalsOf(node: Node): string[] {
  if (node.type === "MemberExpression") {
    const object = globalNameOf(node.object);
    const property = node.computed ? stringOf(node.property) : nameOf(node.property);
    return object === "process" || object === "console" ? [`${object}.${property ?? "*"}`] : [];
  }
  if (node.type === "VariableDeclarator" && node.init && node.id.type === "ObjectPattern") {
    const object = globalNameOf(node.init);
    if (object !== "process" && object !== "console") return [];
    return node.id.properties.map((property) =>
      property.type === "Property" ? `${object}.${nameOf(property.key) ?? "*"}` : `${object}.*`,
    );
  }
  if (node.type === "ImportDeclaration" && /^(node:)?process$/.test(node.source.value)) {
    return node.specifiers.flatMap((each) =>
      each.type === "ImportSpecifier" ? [`process.${nameOf(each.imported) ?? "*"}`] : [],
    );
  }
  return [];
}

function nameOf(node: Node): string | undefined {
  return node.type === "Identifier" ? node.name : undefined;
}

/** `process` and `globalThis.process` alike. */
function globalNameOf(node: Node): string | undefined {
  const isMember = node.type === "MemberExpression" && nameOf(node.object) === "globalThis";
  return nameOf(isMember ? node.property : node);
}

function stringOf(node: Node): string | undefined {
  if (node.type === "Literal" && typeof node.value === "string") return node.value;
  if (node.type === "TSLiteralType") return stringOf(node.literal);
  return undefined;
}

/** One cycle of imports, from a file back to itself; undefined when there is none. */
export function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const trail: string[] = [];

  function follow(path: string): string[] | undefined {
    const file = byPath.get(path);
    if (!file || finished.has(path)) return undefined;
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    trail.push(path);
    for (const next of file.imports) {
      const cycle = follow(next);
      if (cycle) return cycle;
    }
    trail.pop();
    finished.add(path);
    return undefined;
  }

  for (const file of files) {
    const cycle = follow(file.path);
    if (cycle) return cycle;
  }
  return undefined;
}

/** The room of a file: its first folder; files at the top of src/ are in the room "". */
export function roomOf(path: string): string {
  return dirname(path) === "." ? "" : (path.split("/")[0] ?? "");
}

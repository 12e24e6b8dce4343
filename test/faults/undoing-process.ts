import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";

/** Takes a run back; meant to be killed on the way. */
const [path = "", run = ""] = process.argv.slice(2);
const store = await openSqliteStore(path);
await store.undo({ namespace: "n" }, run);
await store.close();

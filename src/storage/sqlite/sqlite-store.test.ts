import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStoreContract } from "../../testing/memory-store-contract.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-sqlite-"));
let files = 0;
let path = "";

memoryStoreContract("The SQLite driver", {
  open: async (options) => {
    path = join(folder, `${files++}.db`);
    return openSqliteStore(path, options);
  },
  reopen: async (store, options) => {
    await store.close();
    return openSqliteStore(path, options);
  },
});

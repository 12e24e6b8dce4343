import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

// Whoever holds a lock is not waited for: the next call does what this one left.
const database = new DatabaseSync(String(workerData), { timeout: 0, enableForeignKeyConstraints: false });
const copy = database.prepare("pragma wal_checkpoint(passive)");
const empty = database.prepare("pragma wal_checkpoint(truncate)");

parentPort!.on("message", (request: "copy" | "empty" | "close") => {
  if (request === "close") {
    database.close();
    parentPort!.close();
    return;
  }
  if (request === "copy") copy.get();
  else empty.get();
  parentPort!.postMessage("done");
});

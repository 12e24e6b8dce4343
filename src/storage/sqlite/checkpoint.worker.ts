import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** A log of more pages is emptied once nothing was written for a while, so that nobody who opens the file reads it. */
const emptiedPages = 4_096;
const restMs = 1_000;

// Whoever holds a lock is not waited for: the next call does what this one left.
const database = new DatabaseSync(String(workerData), { timeout: 0, enableForeignKeyConstraints: false });
const passive = database.prepare("pragma wal_checkpoint(passive)");
const truncate = database.prepare("pragma wal_checkpoint(truncate)");
let resting: NodeJS.Timeout | undefined;

parentPort!.on("message", (request: "checkpoint" | "close") => {
  clearTimeout(resting);
  if (request === "close") {
    database.close();
    parentPort!.close();
    return;
  }
  copyLog();
  resting = setTimeout(() => {
    if (copyLog() > emptiedPages) truncate.get();
  }, restMs);
  parentPort!.postMessage("done");
});

/** @returns Pages of the log. */
function copyLog(): number {
  return Number(passive.get()?.["log"] ?? 0);
}

import { Worker } from "node:worker_threads";
import { StrataError } from "../../contract/errors.ts";
import type { DatabaseReport } from "./verify-database.ts";
import type { Verified } from "./verify-database.worker.ts";

/**
 * {@link verifyDatabase} on a thread of its own, so that the caller's event loop stays free.
 * @throws NOT_A_DATABASE, DATABASE_NEWER, DATABASE_CORRUPT, the signal's reason
 */
export async function verifyOnThread(path: string, signal?: AbortSignal): Promise<DatabaseReport> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL("./verify-database.worker.ts", import.meta.url), { workerData: path });
  const abort = (): void => void worker.terminate();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    let verified: Verified | undefined;
    worker.once("message", (message: Verified) => {
      verified = message;
    });
    // It has given back its files, too, once it has ended.
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("exit", () => resolve());
    });
    if (!verified) throw signal?.reason ?? new Error("the verifying thread ended early");
    if ("report" in verified) return verified.report;
    throw new StrataError(verified.error.code, verified.error.message);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

import { parentPort, workerData } from "node:worker_threads";
import { StrataError } from "../../contract/errors.ts";
import { type DatabaseReport, verifyDatabase } from "./verify-database.ts";

/** What it found, or the error by which it ended. */
export type Verified =
  | { readonly report: DatabaseReport }
  | { readonly error: { readonly code: StrataError["code"]; readonly message: string } };

function verify(path: string): Verified {
  try {
    return { report: verifyDatabase(path) };
  } catch (error) {
    if (!StrataError.isInstance(error)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}

parentPort?.postMessage(verify(workerData));

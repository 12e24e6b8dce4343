import { StrataError } from "../../src/contract/errors.ts";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import { sampleEntry } from "../../src/testing/store-samples.ts";

/** Stores until the disk is full, then tells how many memories were acknowledged and what the failure said. */
const store = await openSqliteStore(process.argv[2] ?? "");
let acknowledged = 0;
try {
  for (;;) {
    const entries = Array.from({ length: 8 }, (_, index) =>
      sampleEntry(`m${acknowledged + index}`, { content: "lorem ipsum ".repeat(300), tags: ["t"] }),
    );
    await store.add({ namespace: "full" }, entries);
    acknowledged += entries.length;
  }
} catch (error) {
  if (!StrataError.isInstance(error)) throw error;
  process.stdout.write(JSON.stringify({ acknowledged, code: error.code, retryable: error.retryable }));
}
process.exit();

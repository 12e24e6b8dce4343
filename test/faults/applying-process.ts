import { readFileSync } from "node:fs";
import type { ConsolidationAction } from "../../src/contract/consolidation.ts";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";

/** Applies a plan in slices once a line comes in, and writes the outcomes to standard output. */
const [path = "", plan = "", run = ""] = process.argv.slice(2);
const store = await openSqliteStore(path);
const actions: ConsolidationAction[] = JSON.parse(readFileSync(plan, "utf8"));
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));
const outcomes = [];
for (let start = 0; start < actions.length; start += 16) {
  const result = await store.apply({ namespace: "n" }, run, actions.slice(start, start + 16));
  outcomes.push(...result.outcomes);
  await new Promise(setImmediate);
}
await store.close();
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
process.exit(0);

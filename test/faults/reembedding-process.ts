import { openMemory } from "../../src/engine/open-memory.ts";
import { hashingModel } from "./hashing-model.ts";

/**
 * Changes a memory's model and writes each step of it to standard output, until it is done or killed.
 * @param aheadMs How much later than the machine's its clock is: a lease that was left by a dead process has run out then.
 */
const [path = "", aheadMs = "0", batchSize = "32"] = process.argv.slice(2);
const ahead = Number(aheadMs);
await using memory = await openMemory({
  path,
  configFile: false,
  model: hashingModel("next", 2),
  clock: {
    now: () => Date.now() + ahead,
    monotonic: () => performance.now(),
    schedule(callback, delayMs) {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  },
});
const report = await memory.reembed({
  batchSize: Number(batchSize),
  onProgress: ({ step, done }) => process.stdout.write(`${step} ${done}\n`),
});
process.stdout.write(`done ${JSON.stringify(report)}\n`);

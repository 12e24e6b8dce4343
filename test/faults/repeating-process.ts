import { openMemory } from "../../src/engine/open-memory.ts";

/** Stores each text it is sent, and answers with what became of it. */
const memory = await openMemory({ path: process.argv[2] ?? "", configFile: false });
process.on("message", async (text: string) => {
  const { id, outcome } = await memory.store(text);
  process.send?.({ id, outcome });
});
process.on("disconnect", () => void memory.close());
process.send?.("ready");

import { join } from "node:path";
import { type OpenOptions, openMemory, type Strata } from "../src/index.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";

/** Runs `work` with a new, empty memory in a file that is removed afterwards. */
export function withMemory<T>(work: (memory: Strata) => Promise<T>, options?: OpenOptions): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await using memory = await openMemory({ path: join(folder, "memory.db"), ...options });
    return await work(memory);
  });
}

/** Hash of the ranking options the memory recalls with. */
export async function rankingHash(memory: Strata): Promise<string> {
  const { explanation } = await memory.recall("which ranking is this?", {
    explain: true,
    touch: false,
    limit: 1,
  });
  if (!explanation) throw new Error("Expected an explanation of a recall that asked for one.");
  return explanation.ranking;
}

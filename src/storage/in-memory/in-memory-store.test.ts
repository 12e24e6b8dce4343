import { memoryStoreContract } from "../../testing/memory-store-contract.ts";
import { createInMemoryStore } from "./in-memory-store.ts";

for (const partitions of [1, 2]) {
  memoryStoreContract(`The in-memory driver of ${partitions}`, {
    partitions,
    open: async (options) => createInMemoryStore({ ...options, partitions }),
  });
}

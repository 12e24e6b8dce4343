/** Public door `strata-memory/testing`: fakes, and the suites that a driver of one's own must pass. */
export { createManualClock, type ManualClock } from "./manual-clock.ts";
export {
  type ContractStoreOptions,
  type MemoryStoreContract,
  memoryStoreContract,
} from "./memory-store-contract.ts";

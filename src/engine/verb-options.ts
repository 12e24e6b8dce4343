import type { Memory } from "../contract/memory.ts";
import type { Evicted } from "../contract/memory-store.ts";
import type { DatabaseReport } from "../storage/sqlite/verify-database.ts";
import type { FilterOptions } from "./filter-options.ts";
import type { HygieneFindings, HygieneOptions } from "./hygiene/write-hygiene.ts";

/** Options that every verb takes. */
export interface CallOptions {
  /** Default: the namespace the memory was opened with. */
  readonly namespace?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Progress of a long call. */
export interface Progress {
  readonly done: number;
  /** Absent when it is not known. */
  readonly total?: number;
}

export interface StoreManyOptions extends CallOptions, HygieneOptions {
  /** Called after each slice that is stored. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** What storing one of many did. */
export interface StoredItem extends HygieneFindings {
  readonly memory: Memory;
  readonly outcome: "stored" | "existing";
}

export interface StoreManyResult {
  /** In the order of the items. */
  readonly memories: readonly StoredItem[];
  readonly evicted: readonly Evicted[];
}

export interface UpdateOptions extends CallOptions, Pick<HygieneOptions, "onSecret"> {
  /** Refuse with VERSION_CONFLICT unless the memory still has this version. */
  readonly ifVersion?: number | undefined;
}

export interface ForgetOptions extends CallOptions {
  /** Leave no byte behind, and nothing to undo. Default false. */
  readonly erase?: boolean | undefined;
}

export interface ListOptions extends FilterOptions, CallOptions {
  /** 1 to 1,000, default 100. */
  readonly limit?: number | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
}

export interface PageOptions extends CallOptions {
  /** 1 to 1,000, default 100. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface JournalOptions extends PageOptions {
  /** Only what happened to this memory. */
  readonly memoryId?: string | undefined;
  /** Only what belongs to this run. */
  readonly run?: string | undefined;
}

export interface BackupOptions {
  /** Ends the backup and leaves no file. */
  readonly signal?: AbortSignal | undefined;
  /** Take the place of a former backup. Default false. */
  readonly overwrite?: boolean | undefined;
  /** Called as pages are copied; `done` and `total` count pages. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** What a backup holds, as it was found when it was read again. */
export interface BackupReport extends DatabaseReport {
  /** Where the file is. */
  readonly path: string;
}

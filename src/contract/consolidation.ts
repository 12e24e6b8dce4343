import type { Memory, StoredVector } from "./memory.ts";
import type { RelevanceKeys } from "./relevance.ts";
import type { Tier } from "./tier.ts";

/** What lives, moves and is evicted as one: a memory of its own, or a document with all its chunks. */
export interface Candidate {
  /** Of the memory, or of the document when `document` is true. */
  readonly id: string;
  readonly document: boolean;
  readonly tier: Tier;
  readonly importance: number;
  readonly accessCount: number;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** Absent: never. */
  readonly expiresAt?: number;
  /**
   * Of the memory, or of the document, whose version goes on when it is ingested again; a move does not change it. A
   * document's counts from 0.
   */
  readonly version: number;
  readonly keys: RelevanceKeys;
}

/**
 * Which entries of a tier: those of relevance at or above a threshold, most relevant first (of equal ones the latest
 * added), or those below it, least relevant first (of equal ones the earliest added). Pinned and expired ones stand
 * outside.
 */
export interface CandidateQuery {
  readonly tier: Tier;
  readonly side: "at-least" | "below";
  /** 0..1. */
  readonly threshold: number;
  /**
   * UTC day (days since 1970) as of which relevance is judged, today or an earlier one; a driver reads ranges of its keys,
   * never the tier. What was used after that day has more than full recency as of it: who judges as of yesterday leaves
   * alone what was used today.
   */
  readonly day: number;
  /** Leave documents out. Default false. */
  readonly memoriesOnly?: boolean | undefined;
  /** At least 1. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface CandidatePage {
  readonly candidates: readonly Candidate[];
  readonly cursor?: string;
}

/**
 * Up or down, usually one step. Done only if the entry is still in `from` with this version (undefined: with any). Its time to live starts anew
 * in the new tier, a promotion never ending it earlier; its keys, uses and version stay, and no index has to follow.
 */
export interface MoveAction {
  readonly kind: "promote" | "demote";
  readonly id: string;
  readonly document: boolean;
  readonly from: Tier;
  readonly to: Tier;
  readonly version: number | undefined;
  readonly reason: string;
}

/**
 * One memory takes another in: uses summed, last use and importance the greater, tags united, and what the other was
 * (id, times, thread, speaker, and what it had itself taken in) added to the kept one's metadata under `mergedFrom`, the
 * latest 32. The kept one's version grows. Never chunks, never pinned ones. Done only if both still have these versions.
 */
export interface MergeAction {
  readonly kind: "merge";
  readonly keep: { readonly id: string; readonly version: number };
  readonly absorb: { readonly id: string; readonly version: number };
  readonly reason: string;
}

/**
 * A memory becomes again what it was: text, vector, tags, importance and all else it says. Done only if the one there has
 * this version, or none is there where it is absent. One that is there keeps its tier, life and uses; one that left comes
 * back into its tier and lives from now. One that never was, of version 0, is added so that undo takes it away. Never
 * chunks.
 */
export interface RestoreAction {
  readonly kind: "restore";
  readonly memory: Memory;
  readonly vector: StoredVector | null;
  readonly version: number | undefined;
  readonly reason: string;
}

/** What a pass does. */
export type ConsolidationAction = MoveAction | MergeAction;

/** What a store performs, journals and takes back. */
export type StoreAction = ConsolidationAction | RestoreAction;

/**
 * done; changed: the entry left, moved or was updated since it was read; full: the tier has no room, and holds nothing
 * less relevant. What is not done leaves no trace.
 */
export type ActionOutcome = "done" | "changed" | "full";

export interface ApplyResult {
  /** In the order of the actions. */
  readonly outcomes: readonly ActionOutcome[];
  /** What made room for a move, journaled under the same run, or was more than a tier made smaller holds. */
  readonly evicted: readonly Evicted[];
}

export interface UndoResult {
  /** The run that undid it, which can be undone in turn; it goes on with the same one after a crash. */
  readonly run: string;
  /** Rows of the journal taken back by this call. */
  readonly undone: number;
  /**
   * What could not be taken back, and why: it left, moved or was changed since, its id or name is taken, what undo needs
   * is not kept. Another call tries it again.
   */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
  /** Entries that left because a tier was full again. */
  readonly evicted: readonly Evicted[];
}

/** An entry that left a full tier. */
export interface Evicted {
  /** Of the memory, or of the document when `document` is true. */
  readonly id: string;
  readonly document: boolean;
  readonly tier: Tier;
  readonly relevance: number;
}

import type { Tier } from "../../src/contract/tier.ts";

/** A write as it was begun. `n` numbers the writes of one process. */
export type Write =
  | {
      readonly kind: "store";
      readonly id: string;
      readonly namespace: string;
      readonly owner: string;
      readonly tier: Tier;
    }
  | {
      readonly kind: "store-many";
      readonly ids: readonly string[];
      readonly namespace: string;
      readonly owner: string;
    }
  | { readonly kind: "store-key"; readonly key: string; readonly namespace: string }
  | {
      readonly kind: "change";
      readonly id: string;
      readonly namespace: string;
      readonly owner: string;
      readonly revision: number;
    }
  | { readonly kind: "move"; readonly id: string; readonly namespace: string; readonly tier: Tier }
  | { readonly kind: "restore"; readonly id: string; readonly namespace: string; readonly revision: number }
  | { readonly kind: "forget"; readonly id: string; readonly namespace: string; readonly erase: boolean }
  | { readonly kind: "count"; readonly id: string; readonly namespace: string; readonly owner: string }
  | { readonly kind: "move-shared"; readonly id: string; readonly namespace: string; readonly tier: Tier }
  | { readonly kind: "ingest"; readonly uri: string; readonly namespace: string; readonly version: string }
  | { readonly kind: "forget-document"; readonly uri: string; readonly namespace: string }
  | { readonly kind: "consolidate" | "undo" | "cleanup"; readonly namespace: string };

/** A line that a process of the rig writes: times are of the machine's monotonic clock, the same for all of them. */
export type Line =
  | { readonly line: "ready" }
  | { readonly line: "begin"; readonly n: number; readonly at: number; readonly write: Write }
  | { readonly line: "done"; readonly n: number; readonly at: number; readonly id?: string }
  /** A named error: nothing of the write may be there. */
  | { readonly line: "refused"; readonly n: number; readonly at: number; readonly code: string }
  | { readonly line: "read" }
  /** Something that must never be. */
  | { readonly line: "broken"; readonly what: string }
  | { readonly line: "paused" }
  | { readonly line: "answers"; readonly answers: readonly Answer[] };

export type Answer = readonly (readonly [id: string, score: number])[];

/** What the rig tells a process on its standard input. */
export type Command =
  | { readonly command: "start"; readonly owned: readonly OwnedMemory[] }
  | { readonly command: "pause" }
  | { readonly command: "resume" }
  | { readonly command: "flush" }
  | { readonly command: "ask"; readonly questions: readonly Question[] };

export interface Question {
  readonly namespace: string;
  readonly verb: "recall" | "search";
  readonly text: string;
}

/** A memory that a dead process left to its successor. */
export interface OwnedMemory {
  readonly id: string;
  readonly namespace: string;
  readonly owner: string;
  readonly revision: number;
}

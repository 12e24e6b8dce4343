import { StrataError } from "../contract/errors.ts";

/** Why an undo leaves something as it is. */
export const undoReasons = {
  left: "it left since",
  moved: "it moved since",
  changed: "it was changed since",
  idTaken: "another memory has its id",
  nameTaken: "another document has its name",
  documentLeft: "its document left or was replaced since",
  keeperChanged: "the memory that took it in left or was changed since",
  notKept: "what undo needs is not kept",
} as const;

export type UndoReason = (typeof undoReasons)[keyof typeof undoReasons];

/** Reason in the journal for what an undo does. */
export function undoneReason(kind: string, run: string): string {
  return `took back ${kind} of run ${run}`;
}

/** What `undo` rejects with when the journal holds nothing of the run. */
export function noSuchRun(run: string): StrataError {
  return new StrataError(
    "NOT_FOUND",
    "Expected a run of the journal; it holds none of that name. List the journal for what can be undone.",
    { details: { run } },
  );
}

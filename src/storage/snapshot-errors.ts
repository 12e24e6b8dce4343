import { StrataError } from "../contract/errors.ts";

export function noSuchSnapshot(name: string): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `The namespace has no snapshot named "${name}"; list those that are there.`,
  );
}

export function snapshotTaken(name: string): StrataError {
  return new StrataError(
    "ALREADY_EXISTS",
    `A snapshot named "${name}" is there already: choose another name, or ask to replace it.`,
  );
}

export function snapshotLimitReached(count: number): StrataError {
  return new StrataError(
    "LIMIT_REACHED",
    `The namespace has ${count} snapshots, as many as may be: delete one first.`,
  );
}

import type { CandidateQuery } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";

/** @throws INVALID_ARGUMENT */
export function assertCandidateQuery({ threshold, day, limit }: CandidateQuery, today: number): void {
  if (!(threshold >= 0 && threshold <= 1)) refuse("a threshold of 0 to 1", threshold);
  if (!(Number.isInteger(day) && day <= today)) refuse(`a day of at most ${today}`, day);
  if (!(Number.isInteger(limit) && limit >= 1)) refuse("a limit of at least 1", limit);
}

function refuse(expected: string, got: number): never {
  throw new StrataError("INVALID_ARGUMENT", `Expected ${expected}; got ${got}.`);
}

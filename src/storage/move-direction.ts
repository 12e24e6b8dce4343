import type { MoveAction } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import { tiers } from "../contract/tier.ts";

/** @throws INVALID_ARGUMENT when a promotion goes down or a demotion up. */
export function assertDirection({ kind, from, to }: MoveAction): void {
  const steps = tiers.indexOf(to) - tiers.indexOf(from);
  if (kind === "promote" ? steps > 0 : steps < 0) return;
  const wanted = kind === "promote" ? "longer" : "shorter";
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Expected a tier that keeps for ${wanted} than ${from}; got ${to}.`,
  );
}

import type { Candidate, MoveAction } from "../contract/consolidation.ts";
import type { MoveContext, MovePolicy } from "./move-policy.ts";

/**
 * The moves a policy wants of some entries of one tier, in their order. Pure.
 * @param settled Ids that something was done to in this pass already: nothing is moved and merged in one.
 */
export function planMoves(
  entries: readonly Candidate[],
  policy: MovePolicy,
  context: MoveContext,
  settled: ReadonlySet<string>,
): MoveAction[] {
  const actions: MoveAction[] = [];
  for (const entry of entries) {
    if (settled.has(entry.id)) continue;
    const reason = policy.judge(entry, context);
    if (reason === undefined) continue;
    const { id, document, version } = entry;
    const { from, to } = context;
    actions.push({ kind: policy.kind, id, document, from, to, version, reason });
  }
  return actions;
}

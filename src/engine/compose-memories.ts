import type { ComposedMemory, HookDraft, MemoryComposer } from "../consolidation/language-hooks.ts";
import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { Memory } from "../contract/memory.ts";
import type { Scope } from "../contract/scope.ts";
import { checkOptions } from "./check-values.ts";
import { RecallEchoes } from "./hygiene/recall-echoes.ts";
import { type HygienePolicy, inspectText } from "./hygiene/write-hygiene.ts";
import { MemoryIds } from "./memory-ids.ts";
import type { Parts } from "./parts.ts";
import { checkEntry, type UnembeddedEntry } from "./store-options.ts";

/** What a hook may say of a memory beside its text. */
const fieldNames = ["importance", "tags", "speaker", "at"];

type Checked =
  | { readonly entry: UnembeddedEntry; readonly flagged: boolean }
  | Extract<ComposedMemory, { readonly refused: string }>;

/**
 * Makes memories of what hooks return by the rules of `store`. That they repeat what is remembered is their task, so
 * echoes are not looked for.
 */
export function memoryComposer(
  parts: Pick<Parts, "clock" | "embed">,
  onSecret: HygienePolicy,
): MemoryComposer {
  const policy = { onSecret, onRecallLoop: "off" } as const;
  const echoes = new RecallEchoes(parts.clock);
  const ids = new MemoryIds();
  const check = (scope: Scope, { content, fields, tier, metadata }: HookDraft): Checked => {
    try {
      const checkedFields = { ...checkOptions(fields, fieldNames, "A hook"), tier, metadata };
      const entry = checkEntry(content, checkedFields, ids);
      const { flags } = inspectText(entry.content, policy, echoes, scope.namespace);
      return { entry, flagged: flags.includes("secret") };
    } catch (error) {
      if (StrataError.isInstance(error)) return { refused: error.code };
      throw error;
    }
  };
  return async (scope, drafts, { signal }) => {
    const checked = drafts.map((draft) => check(scope, draft));
    const texts = checked.flatMap((each) => ("entry" in each ? vectorText(each.entry) : []));
    const vectors = await parts.embed(scope, texts, signal);
    return checked.map((each): ComposedMemory => {
      if (!("entry" in each)) return each;
      const { vector } = vectors.shift()!;
      return { memory: memoryOf(scope, each.entry, parts.clock.now()), vector, flagged: each.flagged };
    });
  };
}

/** A memory that was never there: its version is 1 once it is added. */
function memoryOf({ namespace }: Scope, entry: UnembeddedEntry, now: number): Memory {
  const { id, content, contentHash, tier, importance, tags, metadata, pinned, at, speaker } = entry;
  const times = { createdAt: now, updatedAt: now, lastUsedAt: now };
  return {
    ...{ id, namespace, content, contentHash, tier, importance, tags, metadata, pinned, ...times },
    ...(at !== undefined && { at }),
    ...(speaker !== undefined && { speaker }),
    accessCount: 0,
    version: 0,
  };
}

import type { Memory } from "../contract/memory.ts";

/** Bounds of what one call of a hook is offered. */
export const memoriesAtMost = 32;
export const charactersAtMost = 65_536;

/** Memories with turns of one thread beside each other, in the order they were said. Pure. */
export function inOrderSaid(memories: readonly Memory[]): Memory[] {
  return memories.toSorted(
    (a, b) => compare(a.thread ?? "", b.thread ?? "") || saidAt(a) - saidAt(b) || compare(a.id, b.id),
  );
}

/** Memories of one thread, or without a thread of the same tags, cut to what one call is offered; two or more. Pure. */
export function relatedGroups(memories: readonly Memory[]): Memory[][] {
  const related = Map.groupBy(inOrderSaid(memories), ({ thread, tags }) =>
    JSON.stringify(thread ?? tags.toSorted()),
  );
  return [...related.values()].flatMap(cut).filter((group) => group.length > 1);
}

function cut(group: readonly Memory[]): Memory[][] {
  const parts: Memory[][] = [];
  let characters = 0;
  for (const memory of group) {
    const part = parts.at(-1);
    characters += memory.content.length;
    if (part && part.length < memoriesAtMost && characters <= charactersAtMost) part.push(memory);
    else {
      parts.push([memory]);
      characters = memory.content.length;
    }
  }
  return parts;
}

function saidAt({ at, createdAt }: Memory): number {
  return at ?? createdAt;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

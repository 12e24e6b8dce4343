import type { ChunkSource } from "./memory.ts";

/** Turns before a turn whose words help to find it. */
export const contextTurns = 2;

/** What of a memory its index texts are made from. */
export interface IndexedFields {
  readonly content: string;
  readonly speaker?: string | undefined;
  /** Milliseconds since 1970. */
  readonly at?: number | undefined;
  readonly thread?: string | undefined;
  readonly source?: Pick<ChunkSource, "title" | "headings"> | undefined;
}

const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** A UTC day as people write it: "8 May, 2023". */
export function dayInWords(timeMs: number): string {
  const date = new Date(timeMs);
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]}, ${date.getUTCFullYear()}`;
}

/** A turn as it is told: "Ada: Booked for the 7th."; the content alone without a speaker. */
export function spokenText(memory: Pick<IndexedFields, "content" | "speaker">): string {
  return memory.speaker === undefined ? memory.content : `${memory.speaker}: ${memory.content}`;
}

/**
 * What stands around a memory's content in the keyword index, never in `search` and never in the content: for a turn
 * its day, its speaker and the turns before it in its thread; for a chunk its document's title and headings.
 * @param previous The up to {@link contextTurns} turns before it in its thread, oldest first; empty for others.
 */
export function contextText(memory: IndexedFields, previous: readonly IndexedFields[]): string {
  if (memory.source) {
    const { title, headings } = memory.source;
    // A document's title is usually its first heading too: said twice it would count twice.
    return (title === undefined || title === headings[0] ? headings : [title, ...headings]).join("\n");
  }
  const parts: string[] = [];
  if (memory.at !== undefined && memory.thread !== undefined) parts.push(dayInWords(memory.at));
  for (const turn of previous) parts.push(`${spokenText(turn)}.`);
  if (memory.speaker !== undefined) parts.push(`${memory.speaker}:`);
  return parts.join(" ");
}

/** What is embedded for a memory: a turn with its day and speaker, a chunk with its title and headings. */
export function vectorText(memory: IndexedFields): string {
  if (memory.source) {
    const context = contextText(memory, []);
    return context === "" ? memory.content : `${context}\n${memory.content}`;
  }
  const day = memory.at !== undefined && memory.thread !== undefined ? `${dayInWords(memory.at)} ` : "";
  return `${day}${spokenText(memory)}`;
}

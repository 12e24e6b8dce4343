import type { Command } from "commander";
import type { NextMove } from "../../consolidation/next-moves.ts";
import type { JournalEntry } from "../../contract/memory-store.ts";
import type { MemoryLife } from "../../engine/consolidate-options.ts";
import { addExamples } from "../flag-values.ts";
import { lifeJson } from "../json-shapes.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { oneLine, printable, truncate } from "../terminal-text.ts";
import { formatTime, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Tell a memory's whole life: when it was stored, what happened to it and why, how relevant it is, and what comes next. Of one that is gone, what the journal holds.",
    )
    .argument("<id>", "as recall, list and journal print it")
    .action((id: string) => why(id, session));
  addExamples(command, [
    ["strata why ID", ""],
    ["strata why ID --json | jq .next", "when does it expire?"],
  ]);
}

async function why(id: string, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const life = await memory.why(id, { signal });
  output.result(lifeJson(life), () => formatLife(life, Date.now(), output.style, output.width));
}

/** A life as lines, oldest first. @param now Milliseconds since 1970. */
export function formatLife(life: MemoryLife, now: number, style: Style, width: number): string {
  const { id, memory, relevance, journal, next } = life;
  const row = (name: string, value: string): string => `${style.dim(name.padEnd(17))} ${value}`;
  const lines = [
    memory ? truncate(oneLine(printable(memory.content)), width) : `${oneLine(id)} is gone.`,
    "",
  ];
  if (memory) {
    lines.push(row(formatTime(memory.createdAt), `stored as ${oneLine(id)}`));
  }
  for (const entry of journal.toReversed()) lines.push(row(formatTime(entry.at), eventLine(entry)));
  if (memory) {
    const { tier, accessCount, lastUsedAt, pinned } = memory;
    const uses =
      accessCount === 0
        ? "never used"
        : `used ${plural(accessCount, "time")}, last ${formatTime(lastUsedAt)}`;
    lines.push(row("now", `in ${tier}, ${pinned ? "pinned, " : ""}${uses}`));
  }
  if (relevance) {
    const { value, importance, recency, uses } = relevance;
    const parts = `${importance.toFixed(2)} importance + ${recency.toFixed(2)} recency + ${uses.toFixed(2)} uses`;
    lines.push(row("relevance", `${value.toFixed(2)} = ${parts}`));
  }
  for (const move of next) lines.push(row("next", nextLine(move, now)));
  return lines.join("\n");
}

function eventLine({ kind, document, from, to, into, reason, run }: JournalEntry): string {
  const what = document ? `${kind} document` : kind;
  const where =
    into !== undefined ? ` into ${oneLine(into)}` : to === undefined ? ` from ${from}` : ` ${from} → ${to}`;
  return `${what}${where}: ${oneLine(reason)} [run ${run}]`;
}

/** "expires in 12 days unless used", "promoted to semantic at 10 uses" */
export function nextLine({ kind, to, at, uses }: NextMove, now: number): string {
  if (kind === "stay") return "stays where it is";
  if (kind === "promote" && uses !== undefined) return `promoted to ${to} at ${plural(uses, "use")}`;
  const when = at === undefined || at <= now ? "at the next consolidation" : `in ${timeUntil(at - now)}`;
  if (kind === "promote") return `promoted to ${to} ${when}`;
  return kind === "demote" ? `demoted to ${to} ${when} unless used` : `expires ${when} unless used`;
}

function timeUntil(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours >= 48) return plural(Math.round(hours / 24), "day");
  return hours >= 2
    ? plural(Math.round(hours), "hour")
    : plural(Math.max(1, Math.round(ms / 60_000)), "minute");
}

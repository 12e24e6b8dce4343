import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { systemClock } from "../src/contract/clock.ts";
import { RecallEchoes } from "../src/engine/hygiene/recall-echoes.ts";
import { editedPairs, meaningEdits } from "./edited-texts.ts";
import { readRows } from "./json-lines.ts";
import { withMemory } from "./temporary-memory.ts";

interface Turn {
  readonly conv: string | number;
  readonly text: string;
  readonly dup_of?: string;
}

const thresholds = [0.5, 0.6, 0.7, 0.8, 0.9, 1];
/** Every so many turns are recalled. */
const step = 8;

/**
 * When does a text only repeat what was just recalled? Turns of long conversations are stored as notes; one after the
 * other is recalled, and then texts are compared with the hits: echoes as agents write them (a hit as it is, with words
 * before it, three hits together, one that lost its last word), the turn that followed in truth, and corrections of a
 * hit. By threshold the share of each kind that counts as an echo.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const folder = join(dataFolder(values.data), "locomo");
  const turns = readRows<Turn>(join(folder, "turns.jsonl")).filter(({ dup_of }) => dup_of === undefined);
  const shares = new Map<string, number[]>();
  await withMemory(async (memory) => {
    await memory.storeMany(turns.map(({ text }) => ({ content: text, tier: "semantic" })));
    for (let at = 0; at + 1 < turns.length; at += step) {
      const { hits } = await memory.recall(turns[at]!.text, { touch: false });
      const echoes = new RecallEchoes(systemClock);
      // The next turn is there already: what it is compared with must not hold it.
      const next = turns[at + 1]!.text;
      const others = hits.filter((hit) => hit.memory.content !== next);
      echoes.recalled("evaluated", others);
      for (const [kind, texts] of Object.entries(
        writtenAfter(
          others.map(({ memory: { content } }) => content),
          next,
        ),
      )) {
        const list = shares.get(kind) ?? [];
        shares.set(kind, list);
        for (const text of texts) list.push(echoes.echoedShare("evaluated", text));
      }
    }
  });
  return {
    kinds: [...shares].map(([kind, list]) => ({
      kind,
      texts: list.length,
      ...Object.fromEntries(
        thresholds.map((least) => [
          `from ${least}`,
          list.filter((share) => share >= least).length / list.length,
        ]),
      ),
    })),
  };
}

function writtenAfter(hits: readonly string[], next: string): Record<string, readonly string[]> {
  const long = hits.filter((text) => text.split(/\s+/).length >= 8);
  return {
    "echo: as it is": hits.slice(0, 3),
    "echo: with words before it": long.slice(0, 3).map((text) => `From what I remember: ${text}`),
    "echo: three together": [hits.slice(0, 3).join(" ")],
    "echo: without its end": long.slice(0, 3).map((text) => text.split(/\s+/).slice(0, -1).join(" ")),
    "new: the turn that followed": [next],
    "new: a corrected hit": Object.entries(meaningEdits)
      .filter(([edit]) => ["number", "day", "negation"].includes(edit))
      .flatMap(([, edit]) => editedPairs(hits.slice(0, 3), edit).map(({ s2 }) => s2)),
    "new: a hit and as much again": long.slice(0, 1).map((text) => `${text} ${next}`),
  };
}

import { join } from "node:path";
import { readRows } from "../evals/json-lines.ts";
import type { Turn, TurnQuestion } from "../evals/locomo.ts";
import type { StoreItem } from "../src/index.ts";
import { seededRandom } from "./generated-text.ts";

/** What a recall benchmark stores and asks. */
export interface RealTexts {
  readonly items: readonly StoreItem[];
  /** Distinct, none of them a stored text. */
  readonly questions: readonly string[];
  /** Items that stand in the data as they are; the others are recombined. */
  readonly real: number;
  /** Share 0..1 of the items whose text an earlier item has. */
  readonly duplicateRate: number;
}

interface Titled {
  readonly title: string;
  readonly text: string;
}

/**
 * Turns of conversations, then sentences of abstracts, then paragraphs of long documents; where more are needed, the
 * first half of one text with the second half of another. The order is always the same.
 */
export function realTexts(folder: string, count: number): RealTexts {
  const items = takeFirst(realItems(folder), count);
  const real = items.length;
  const random = seededRandom(11);
  while (items.length < count) items.push({ content: recombine(items, real, random), tier: "semantic" });
  return {
    items,
    questions: realQuestions(folder),
    real,
    duplicateRate: 1 - new Set(items.map(({ content }) => content)).size / items.length,
  };
}

function takeFirst(items: Iterable<StoreItem>, count: number): StoreItem[] {
  return Iterator.from(items).take(count).toArray();
}

function* realItems(folder: string): Generator<StoreItem> {
  for (const { conv, id, session, speaker, iso, text } of readRows<Turn>(
    join(folder, "locomo/turns.jsonl"),
  )) {
    const own = { id: `${conv}/${id}`, thread: `${conv}/${session}`, speaker, at: iso };
    yield { content: text, tier: "semantic", ...own };
  }
  for (const collection of ["scifact", "cranfield"]) {
    for (const { title, text } of readRows<Titled>(join(folder, collection, "corpus.jsonl")))
      yield* notes(`${title}. ${text}`.split(/(?<=[.?!])\s+/u));
  }
  for (const kind of ["books", "markdown", "source"]) {
    for (const { text } of readRows<Titled>(join(folder, "longdocs", `${kind}.jsonl`)))
      yield* notes(text.split(/\n\s*\n/u));
  }
}

function* notes(texts: readonly string[]): Generator<StoreItem> {
  for (const text of texts) {
    const content = text.trim();
    // Shorter ones are numbers and rules; longer ones are no single thought.
    if (content.length >= 20 && content.length <= 2_000) yield { content, tier: "semantic" };
  }
}

function recombine(items: readonly StoreItem[], real: number, random: () => number): string {
  const words = () => items[Math.floor(random() * real)]!.content.split(" ");
  const [head, tail] = [words(), words()];
  return [...head.slice(0, Math.ceil(head.length / 2)), ...tail.slice(Math.floor(tail.length / 2))].join(" ");
}

/** Questions on the conversations and claims on the abstracts, by turns. */
function realQuestions(folder: string): string[] {
  const asked = readRows<TurnQuestion>(join(folder, "locomo/questions.jsonl")).map(
    ({ question }) => question,
  );
  const claimed = readRows<{ readonly text: string }>(join(folder, "scifact/queries.jsonl"));
  const pairs = asked.flatMap((question, index) => [question, claimed[index]?.text ?? question]);
  return [...new Set(pairs)];
}

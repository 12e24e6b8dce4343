import type { RecallMode, Strata } from "../src/index.ts";
import type { Evaluated } from "./evaluated-model.ts";
import { mean, ndcgAt, recallAt } from "./metrics.ts";
import { PlainBm25 } from "./plain-bm25.ts";
import { rankingHash, withMemory } from "./temporary-memory.ts";

/** A test collection: documents, questions, and which documents answer which question how well. */
export interface Collection {
  readonly documents: readonly { readonly id: string; readonly title: string; readonly text: string }[];
  readonly questions: readonly CollectionQuestion[];
}

export interface CollectionQuestion {
  readonly text: string;
  /** Gain above 0 of each relevant document. */
  readonly gains: ReadonlyMap<string, number>;
  /** Documents that take no part in the ranking of this question. */
  readonly excluded: ReadonlySet<string>;
}

type Ranker = (question: string, limit: number) => Promise<string[]> | string[];

const depth = 100;

/** Figures of a collection by mode, and of plain BM25. */
export interface CollectionResult {
  readonly documents: number;
  readonly questions: number;
  readonly ndcgAt10: Readonly<Record<string, number>>;
  readonly recallAt100: Readonly<Record<string, number>>;
  readonly ranking: string;
  readonly seconds: number;
}

/**
 * nDCG@10 and recall@100 of the default ranking and of each of its parts, all from one memory, and of plain BM25.
 * Each document is one memory of its title and text.
 */
export async function evaluateCollection(
  { documents, questions }: Collection,
  { model, modes }: Evaluated,
): Promise<CollectionResult> {
  const texts = documents
    .map(({ id, title, text }) => [id, `${title}\n${text}`.trim()] as const)
    .filter(([, text]) => text !== "");
  const start = performance.now();
  const { ranking, measured } = await withMemory(
    async (memory) => {
      await memory.storeMany(texts.map(([id, content]) => ({ id, content, tier: "semantic" })));
      const figures: [string, Figures][] = [];
      for (const mode of modes) figures.push([mode, await evaluate(questions, recallRanker(memory, mode))]);
      return { measured: figures, ranking: await rankingHash(memory) };
    },
    { model },
  );
  const bm25 = new PlainBm25(texts);
  measured.push(["plainBm25", await evaluate(questions, (question, limit) => bm25.search(question, limit))]);
  return {
    documents: texts.length,
    questions: questions.length,
    ndcgAt10: Object.fromEntries(measured.map(([name, { ndcgAt10 }]) => [name, ndcgAt10])),
    recallAt100: Object.fromEntries(measured.map(([name, { recallAt100 }]) => [name, recallAt100])),
    ranking,
    seconds: (performance.now() - start) / 1_000,
  };
}

interface Figures {
  readonly ndcgAt10: number;
  readonly recallAt100: number;
}

async function evaluate(questions: readonly CollectionQuestion[], rank: Ranker): Promise<Figures> {
  const ndcg: number[] = [];
  const recall: number[] = [];
  for (const { text, gains, excluded } of questions) {
    const ranking = await rank(text, depth + excluded.size);
    const kept = ranking.filter((id) => !excluded.has(id));
    ndcg.push(ndcgAt(kept, gains, 10));
    recall.push(recallAt(kept, new Set(gains.keys()), depth));
  }
  return { ndcgAt10: mean(ndcg), recallAt100: mean(recall) };
}

function recallRanker(memory: Strata, mode: RecallMode): Ranker {
  return async (question, limit) => {
    // Not counted as uses: what one mode finds must not help the next.
    const { hits } = await memory.recall(question, { limit, mode, touch: false });
    return hits.map((hit) => hit.memory.id);
  };
}

/** Gains above 0 by question. */
export function gainsByQuestion(
  judgements: readonly { readonly query: string; readonly doc: string; readonly grade: number }[],
): Map<string, Map<string, number>> {
  const relevant = judgements.filter(({ grade }) => grade > 0);
  return new Map(
    [...Map.groupBy(relevant, ({ query }) => query)].map(([query, own]) => [
      query,
      new Map(own.map(({ doc, grade }) => [doc, grade])),
    ]),
  );
}

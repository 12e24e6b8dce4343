import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import {
  areNearDuplicates,
  cosineOf,
  lengthRatio,
  type NearDuplicateThresholds,
  nearDuplicateThresholds,
  sharedShare,
  wordsOf,
} from "../src/contract/near-duplicates.ts";
import { type BuiltinModel, openBuiltinModel } from "../src/embedding/models/builtin-model.ts";
import { editedPairs, formEdits, meaningEdits } from "./edited-texts.ts";
import { readRows } from "./json-lines.ts";
import type { SentencePair } from "./sentence-pairs.ts";
import { cosine } from "./text-vectors.ts";

/** Pairs of one kind. */
interface PairSet {
  readonly name: string;
  /** They mean the same. */
  readonly same: boolean;
  readonly pairs: readonly SentencePair[];
}

/** What the thresholds are compared with. */
interface Measured {
  readonly cosine: number;
  readonly lengthRatio: number;
  readonly sharedWords: number;
  /** The words decide for it, whatever the thresholds. */
  readonly sameWords: boolean;
}

interface MeasuredSet extends Omit<PairSet, "pairs"> {
  readonly pairs: readonly Measured[];
}

type Condition = NearDuplicateThresholds & { readonly words: "compared" | "not compared" };

const steps = {
  cosine: [0, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99],
  lengthRatio: [0, 0.5, 0.6, 0.7, 0.8, 0.9],
  sharedWords: [0, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
};
const anything: NearDuplicateThresholds = { cosine: -1, lengthRatio: 0, sharedWords: 0 };
/** Most of the pairs of any set that mean different things and would be merged. */
const falseMergeLimit = 0.001;
/** Texts whose neighbours of another intent are looked for, and how many of those each gives. */
const [searched, neighbours] = [2_000, 5];

/**
 * When are two texts the same memory? False-merge rate and found share by thresholds of cosine, length and shared
 * words, with and without the comparison of words, on pairs that mean the same or not (Quora and Medical Question
 * Pairs), on nearest neighbours of another intent (Banking77), and on texts that one edit changes in meaning or in form;
 * then the strictest thresholds that find what any with a false-merge rate under .1 % in every set find.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const model = await openBuiltinModel();
  const sets: MeasuredSet[] = [];
  for (const set of await pairSets(model, join(dataFolder(values.data), "pairs"))) {
    sets.push({ ...set, pairs: await measure(model, set.pairs) });
  }
  const chosen = choose(sets);
  return {
    thresholds: [
      ...steps.cosine.map((least) => row(sets, { ...anything, cosine: least, words: "not compared" })),
      ...steps.sharedWords.map((least) =>
        row(sets, { cosine: 0.95, lengthRatio: 0.8, sharedWords: least, words: "not compared" }),
      ),
      row(sets, { ...anything, words: "compared" }),
      row(sets, { ...chosen, words: "compared" }),
    ],
    sets: sets.map(({ name, same, pairs }) => {
      const merged = pairs.filter((pair) => isMerged(pair, { ...chosen, words: "compared" })).length;
      return {
        set: name,
        means: same ? "the same" : "other",
        pairs: pairs.length,
        merged,
        share: merged / pairs.length,
      };
    }),
    chosen,
    inUse: nearDuplicateThresholds,
    falseMergeLimit,
  };
}

async function pairSets(model: BuiltinModel, folder: string): Promise<PairSet[]> {
  const labelled = ["qqp_dev", "mqp"].map((name) => ({
    name,
    rows: readRows<SentencePair & { readonly label: number }>(join(folder, `${name}.jsonl`)),
  }));
  const queries = readRows<{ readonly text: string; readonly intent: string }>(
    join(folder, "banking77_train.jsonl"),
  );
  const texts = [
    ...new Set([
      ...labelled.flatMap(({ rows }) => rows.map(({ s1 }) => s1)),
      ...queries.map(({ text }) => text),
    ]),
  ];
  // Where one word differs among many, a share of words or a cosine says little.
  const long = texts.flatMap((_, at) => (at % 6 === 0 ? [texts.slice(at, at + 6).join(" ")] : []));
  const edited = (name: string, same: boolean, edits: typeof formEdits, of: readonly string[]): PairSet => ({
    name,
    same,
    pairs: Object.values(edits).flatMap((edit) => editedPairs(of, edit)),
  });
  return [
    ...labelled.flatMap(({ name, rows }) =>
      [true, false].map((same) => ({
        name,
        same,
        pairs: rows.filter(({ label }) => (label === 1) === same),
      })),
    ),
    { name: "banking77 neighbours", same: false, pairs: await neighbourPairs(model, queries) },
    ...Object.entries(meaningEdits).map(([name, edit]) => edited(`edited: ${name}`, false, { edit }, texts)),
    edited("edited long texts", false, meaningEdits, long),
    ...Object.entries(formEdits).map(([name, edit]) => edited(`written: ${name}`, true, { edit }, texts)),
  ];
}

/** For some of the queries, the nearest ones of another intent. */
async function neighbourPairs(
  model: BuiltinModel,
  queries: readonly { readonly text: string; readonly intent: string }[],
): Promise<SentencePair[]> {
  const vectors = await embed(
    model,
    queries.map(({ text }) => text),
  );
  const step = Math.max(1, Math.floor(queries.length / searched));
  return queries.flatMap((query, at) => {
    if (at % step !== 0) return [];
    const near = queries.flatMap((other, index) =>
      other.intent === query.intent
        ? []
        : [{ text: other.text, cosine: cosine(vectors[at], vectors[index]) }],
    );
    near.sort((a, b) => b.cosine - a.cosine);
    return near.slice(0, neighbours).map(({ text }) => ({ s1: query.text, s2: text }));
  });
}

async function measure(model: BuiltinModel, pairs: readonly SentencePair[]): Promise<Measured[]> {
  const [first, second] = [
    await embed(
      model,
      pairs.map(({ s1 }) => s1),
    ),
    await embed(
      model,
      pairs.map(({ s2 }) => s2),
    ),
  ];
  return pairs.map(({ s1, s2 }, at) => {
    const compared = (content: string, values: Float32Array | null | undefined) => ({
      content,
      vector: values ? { model: model.id, values } : null,
    });
    const [a, b] = [compared(s1, first[at]), compared(s2, second[at])];
    return {
      cosine: cosineOf(a.vector, b.vector),
      lengthRatio: lengthRatio(s1, s2),
      sharedWords: sharedShare(wordsOf(s1), wordsOf(s2)),
      sameWords: areNearDuplicates(a, b, anything),
    };
  });
}

async function embed(model: BuiltinModel, texts: readonly string[]): Promise<(Float32Array | null)[]> {
  const vectors: (Float32Array | null)[] = [];
  for (let at = 0; at < texts.length; at += model.maxBatchSize) {
    const reply = await model.doEmbed(texts.slice(at, at + model.maxBatchSize));
    vectors.push(...reply.vectors);
  }
  return vectors;
}

function isMerged(pair: Measured, least: Condition): boolean {
  return (
    pair.cosine >= least.cosine &&
    pair.lengthRatio >= least.lengthRatio &&
    pair.sharedWords >= least.sharedWords &&
    (least.words === "not compared" || pair.sameWords)
  );
}

/** Of each kind, the share that is merged: the greatest of the sets that differ, the mean of those that are the same. */
function rates(sets: readonly MeasuredSet[], least: Condition): { falseMerges: number; found: number } {
  const share = ({ pairs }: MeasuredSet): number =>
    pairs.filter((pair) => isMerged(pair, least)).length / pairs.length;
  const found = sets.filter(({ same }) => same).map(share);
  return {
    falseMerges: Math.max(...sets.filter(({ same }) => !same).map(share)),
    found: found.reduce((sum, each) => sum + each, 0) / found.length,
  };
}

function row(sets: readonly MeasuredSet[], least: Condition): unknown {
  return { ...least, ...rates(sets, least) };
}

/** The strictest thresholds that lose no more than a thousandth of what the loosest permitted ones find. */
function choose(sets: readonly MeasuredSet[]): NearDuplicateThresholds {
  const tried = steps.cosine.flatMap((cosine) =>
    steps.lengthRatio.flatMap((lengthRatio) =>
      steps.sharedWords.map((sharedWords) => {
        const thresholds = { cosine, lengthRatio, sharedWords };
        return { thresholds, ...rates(sets, { ...thresholds, words: "compared" }) };
      }),
    ),
  );
  const permitted = tried.filter(({ falseMerges }) => falseMerges < falseMergeLimit);
  const most = Math.max(...permitted.map(({ found }) => found));
  const kept = permitted.filter(({ found }) => found >= most - 0.001);
  const strictness = ({ thresholds }: (typeof kept)[number]): number =>
    thresholds.cosine + thresholds.lengthRatio + thresholds.sharedWords;
  kept.sort((a, b) => strictness(b) - strictness(a));
  if (!kept[0]) throw new Error("No thresholds keep the false-merge rate under its limit.");
  return kept[0].thresholds;
}

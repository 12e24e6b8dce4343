import type { EmbeddingModel } from "../../src/contract/embedding-model.ts";
import { defaultTierTable, type TierTable } from "../../src/contract/tier.ts";
import type { OpenOptions } from "../../src/engine/open-memory.ts";

/** What the processes of the fault rig store: everything follows from names and numbers, so that a checker knows it. */

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seedOf(text: string): number {
  let seed = 2_166_136_261;
  for (let at = 0; at < text.length; at++) seed = Math.imul(seed ^ text.charCodeAt(at), 16_777_619);
  return seed >>> 0;
}

const vocabulary =
  "amber basin cedar delta ember fjord grove harbor island juniper kelp lantern meadow nectar orchard prairie quartz river summit tundra umbra valley willow zephyr".split(
    " ",
  );

function words(random: () => number, count: number): string {
  return Array.from({ length: count }, () => vocabulary[Math.floor(random() * vocabulary.length)]).join(" ");
}

/** A word that stands in the texts of this memory alone. */
export function markerOf(id: string): string {
  return `mark${id.replaceAll(/\W/g, "q")}z`;
}

/** What a memory says at a revision: 0 as it is stored, one more with each change of its text. */
export function contentOf(id: string, revision: number): string {
  const random = seededRandom(seedOf(`${id}/${revision}`));
  return `${markerOf(id)} revision${revision} ${words(random, 4 + Math.floor(random() * 24))}.`;
}

export function tagsOf(owner: string, revision: number): string[] {
  return [owner, `revision${revision % 3}`];
}

/** Text of a document; each of its paragraphs tells which version it is of. */
export function documentText(uri: string, version: string): string {
  const random = seededRandom(seedOf(`${uri}/${version}`));
  const paragraphs = 2 + Math.floor(random() * 40);
  return Array.from(
    { length: paragraphs },
    () => `${markerOf(version)} ${words(random, 12 + Math.floor(random() * 12))}.`,
  ).join("\n\n");
}

const dimensions = 32;

/** Letters in pairs, counted: the same for the same text, on every machine. */
export function vectorOf(text: string): Float32Array {
  const vector = new Float32Array(dimensions);
  for (let at = 1; at < text.length; at++) {
    vector[(text.charCodeAt(at - 1) * 31 + text.charCodeAt(at)) % dimensions]! += 1;
  }
  return vector;
}

const model: EmbeddingModel = {
  id: "letters@1",
  dimensions,
  maxBatchSize: 64,
  maxTokens: 512,
  cheap: true,
  symmetric: true,
  countTokens: (text) => text.split(/\s+/).length,
  doEmbed: (texts) => ({ vectors: texts.map(vectorOf) }),
};

export const namespaces = ["first", "second"] as const;

/** Small tiers that evict. */
export const tierTable: TierTable = {
  ...defaultTierTable,
  short_term: { ...defaultTierTable.short_term, capacity: 40 },
  episodic: { ...defaultTierTable.episodic, capacity: 150 },
};

/** How every process of the rig opens the memory: with a model that costs nothing. */
export function openOptions(path: string): OpenOptions {
  const { short_term, episodic } = tierTable;
  return {
    path,
    configFile: false,
    model,
    ranking: { lateWeight: 0 },
    config: {
      "memory.episodic_capacity": episodic.capacity,
      "memory.short_term_capacity": short_term.capacity,
      "memory.consolidation_threshold": 0.6,
      "memory.demotion_threshold": 0.35,
    },
  };
}

import { join } from "node:path";
import type { WorkloadStep } from "../src/contract/workload.ts";
import { seededRandom } from "../src/tuning/seeded-random.ts";
import { readRows } from "./json-lines.ts";

/** What a memory is asked to do, and what it costs. */
export interface CacheWorkload {
  readonly name: string;
  readonly kind: "simulated" | "real";
  readonly steps: readonly WorkloadStep[];
  /** Bytes of both caches together. */
  readonly totalBytes: number;
  readonly embedMs: number;
  readonly searchMs: number;
}

const usualSteps = 60_000;
const totalBytes = 4 * 2 ** 20;
const model = { embedMs: 4, searchMs: 1 };

/** Workloads that stay as they are, and workloads that change; the same for the same seed. */
export function simulatedWorkloads(seed: number, steps: number = usualSteps): CacheWorkload[] {
  const random = seededRandom(seed);
  const zipfQuestions = zipf(5_000, 0.9, random);
  const zipfTexts = zipf(5_000, 0.9, random);
  const any = (count: number): number => Math.floor(random() * count);
  const asked = (): WorkloadStep => recall(`question ${any(400)}`, 8_000);
  const told = (): WorkloadStep => embed(`text ${any(1_500)}`);
  const make = (name: string, step: (at: number) => WorkloadStep, costs: Partial<typeof model> = {}) => ({
    name,
    kind: "simulated" as const,
    steps: Array.from({ length: steps }, (_, at) => step(at)),
    totalBytes,
    ...model,
    ...costs,
  });
  let cycle = 0;
  return [
    make("both alike", () =>
      random() < 0.5 ? recall(`question ${zipfQuestions()}`, 4_000) : embed(`text ${zipfTexts()}`),
    ),
    make("questions again", () => (random() < 0.9 ? asked() : embed(`new ${any(1e9)}`))),
    make("texts again", () => (random() < 0.9 ? told() : recall(`new ${any(1e9)}`, 4_000))),
    make("texts in a circle", () =>
      random() < 0.9 ? embed(`text ${cycle++ % 1_500}`) : recall(`question ${zipfQuestions()}`, 4_000),
    ),
    make("writes between", (at) =>
      at % 10 === 0 ? { op: "write", namespace: "" } : recall(`question ${zipfQuestions()}`, 4_000),
    ),
    make("by day and by night", (at) => (Math.floor(at / 15_000) % 2 === 0 ? asked() : told())),
    make("quick change", (at) => (Math.floor(at / 3_000) % 2 === 0 ? asked() : told())),
    make("drift", (at) =>
      random() < 0.5
        ? recall(`question ${zipfQuestions() + Math.floor(at / 20)}`, 4_000)
        : embed(`text ${zipfTexts() + Math.floor(at / 20)}`),
    ),
    make("nothing again", (at) => (random() < 0.5 ? recall(`question ${at}`, 4_000) : embed(`text ${at}`))),
    make(
      "a hosted model",
      () => (random() < 0.5 ? recall(`question ${zipfQuestions()}`, 4_000) : embed(`text ${zipfTexts()}`)),
      { embedMs: 40 },
    ),
    make(
      "a slow search",
      () => (random() < 0.5 ? recall(`question ${zipfQuestions()}`, 4_000) : embed(`text ${zipfTexts()}`)),
      { searchMs: 30 },
    ),
  ];
}

/** What people asked, in true order: each query a recall, and after every so many of them a write. */
export function realWorkloads(folder: string): CacheWorkload[] {
  return ["excite", "weblog_semicomplete"].flatMap((name) => {
    const queries = readRows<{ readonly query: string }>(join(folder, "querylog", `${name}.jsonl`)).map(
      ({ query }) => query,
    );
    const distinct = new Set(queries).size;
    return [0, 25].map((every): CacheWorkload => {
      return {
        name: every === 0 ? name : `${name}, a write after ${every}`,
        kind: "real",
        // Three times over: a log of one day is short for windows of hundreds.
        steps: [...queries, ...queries, ...queries].flatMap((query, at): WorkloadStep[] => [
          recall(query, 4_000),
          ...(every > 0 && at % every === 0 ? [{ op: "write" as const, namespace: "" }] : []),
        ]),
        // Room for a quarter of the distinct queries in both.
        totalBytes: Math.ceil(distinct * 0.25 * 6_500),
        ...model,
      };
    });
  });
}

function recall(key: string, bytes: number): WorkloadStep {
  return { op: "recall", namespace: "", key, length: key.length, bytes };
}

function embed(key: string): WorkloadStep {
  return { op: "embed", key, length: 200 };
}

/** Ranks by Zipf's law: rank r with weight r^-exponent. */
function zipf(count: number, exponent: number, random: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) {
    sum += rank ** -exponent;
    sums.push(sum);
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import {
  type PrefetchStats,
  QueryOptimizer,
  type QueryOptimizerOptions,
  type QueryStats,
} from "../src/index.ts";
import { bestPossible, leastRecentlyUsed, s3Fifo, sieve } from "./cache-policies.ts";
import { readRows } from "./json-lines.ts";

/** What was asked, by whom, in order. */
interface Log {
  readonly name: string;
  readonly kind: "queries" | "blocks";
  readonly keys: readonly string[];
  readonly sessions: readonly string[];
}

/** Hit rates of least recently used at 10 % of the distinct keys, as the data set states them. */
const stated: Readonly<Record<string, string>> = {
  gli: "0.009",
  multi1: "0.434",
  web07: "0.557",
  "orm-busy-100k": "0.780",
};
const shares = [0.01, 0.05, 0.1, 0.25];

/**
 * Replays every query log and trace of cache keys through the optimizer at several sizes, with prefetch off and on,
 * beside least recently used, two newer policies and the best possible.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const folder = dataFolder(values.data);
  const rates: Rates[] = [];
  const prefetches: Ahead[] = [];
  for (const log of readLogs(folder)) {
    const distinct = new Set(log.keys).size;
    for (const share of shares) {
      const size = Math.max(1, Math.floor(distinct * share));
      const { rate, ahead } = await replaySize(log, distinct, share, size);
      rates.push(rate);
      prefetches.push(ahead);
    }
  }
  return {
    hitRates: rates,
    prefetch: prefetches,
    baselines: rates.flatMap(({ log, share, lru }) =>
      share === 0.1 && stated[log] !== undefined
        ? [{ log, lru, stated: stated[log], agrees: lru.toFixed(3) === stated[log] }]
        : [],
    ),
    checks: {
      oursIsLru: rates.every(({ ours, lru }) => ours === lru),
      worstLossByPrefetch: Math.min(...prefetches.map(({ gain }) => gain)),
      prefetchNeverLosesOverOnePercent: prefetches.every(
        ({ without, withPrefetch }) => withPrefetch >= without * 0.99,
      ),
      meanGainOnQueries: {
        sieve: meanGain(rates, (row) => row.sieve),
        s3Fifo: meanGain(rates, (row) => row.s3Fifo),
      },
    },
  };
}

/** Mean over query logs and sizes of what a policy gains over least recently used. */
function meanGain(rates: readonly Rates[], policy: (row: Rates) => number): number {
  const gains = rates.filter(({ kind }) => kind === "queries").map((row) => policy(row) - row.lru);
  return gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
}

/** Hit rates, 0..1 of all accesses. */
interface Rates {
  readonly log: string;
  readonly kind: Log["kind"];
  readonly accesses: number;
  readonly distinct: number;
  readonly share: number;
  readonly size: number;
  readonly lru: number;
  readonly ours: number;
  readonly sieve: number;
  readonly s3Fifo: number;
  readonly best: number;
}

interface Ahead extends Pick<PrefetchStats, "issued" | "precision" | "coverage" | "waste" | "on"> {
  readonly log: string;
  readonly share: number;
  readonly without: number;
  readonly withPrefetch: number;
  readonly gain: number;
}

async function replaySize(
  log: Log,
  distinct: number,
  share: number,
  size: number,
): Promise<{ readonly rate: Rates; readonly ahead: Ahead }> {
  const { name, kind, keys } = log;
  const rateOf = (hits: number): number => hits / keys.length;
  const without = await replay(log, { maxEntries: size });
  const prefetched = await replay(log, { maxEntries: size, prefetch: { prepare } });
  const { issued, precision, coverage, waste, on } = prefetched.prefetch!;
  return {
    rate: {
      log: name,
      kind,
      accesses: keys.length,
      distinct,
      share,
      size,
      lru: rateOf(leastRecentlyUsed(keys, size)),
      ours: without.hitRate,
      sieve: rateOf(sieve(keys, size)),
      s3Fifo: rateOf(s3Fifo(keys, size)),
      best: rateOf(bestPossible(keys, size)),
    },
    ahead: {
      log: name,
      share,
      without: without.hitRate,
      withPrefetch: prefetched.hitRate,
      gain: prefetched.hitRate - without.hitRate,
      issued,
      precision,
      coverage,
      waste,
      on,
    },
  };
}

const prepare = ({ key }: { readonly key: string }) => ({ work: () => key });

/** One query after the other; what is fetched ahead has ended before the next. Nothing expires. */
async function replay(log: Log, options: QueryOptimizerOptions): Promise<QueryStats> {
  await using queries = new QueryOptimizer({ ttlMs: Number.MAX_SAFE_INTEGER, maxBytes: 2 ** 32, ...options });
  for (const [at, key] of log.keys.entries()) {
    await queries.executeQuery(key, () => key, { session: log.sessions[at] });
    while (queries.getStats().inFlight > 0) await null;
  }
  return queries.getStats();
}

function readLogs(folder: string): Log[] {
  const logs = ["excite", "weblog_semicomplete"].map((name): Log => {
    const rows = readRows<{ readonly user: string; readonly query: string }>(
      join(folder, "querylog", `${name}.jsonl`),
    );
    return {
      name,
      kind: "queries",
      keys: rows.map(({ query }) => query),
      sessions: rows.map(({ user }) => user),
    };
  });
  const traces = ["gli", "multi1", "web07", "orm-busy-100k"].map((name): Log => {
    const rows = readRows<{ readonly key: string }>(join(folder, "traces", `${name}.jsonl`));
    return { name, kind: "blocks", keys: rows.map(({ key }) => key), sessions: rows.map(() => "") };
  });
  return [...logs, ...traces];
}

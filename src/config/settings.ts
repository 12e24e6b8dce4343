import { defaultTierTable, type Tier, tiers } from "../contract/tier.ts";
import {
  bytes,
  choice,
  count,
  flag,
  list,
  number,
  type Setting,
  seconds,
  share,
  text,
  unlikeReference,
} from "./setting-kinds.ts";

function tierSettings(tier: Tier): Setting[] {
  const { ttlSeconds, capacity } = defaultTierTable[tier];
  const ttl = `Seconds since last use a memory of ${tier} lives; 0: it never expires.`;
  const holds = `Entries ${tier} holds in each namespace, a document counting as one; 0: unlimited.`;
  return [
    number(`memory.${tier}_ttl`, seconds, ttlSeconds, ttl),
    number(`memory.${tier}_capacity`, count, capacity, holds),
  ];
}

const noRedis = "Without effect: a memory is one SQLite file, and nothing connects to Redis.";
const noGraph =
  "Without effect: there is no graph to tune. Few vectors are all compared, many are searched by sketches, whose recall is measured.";

const general: readonly Setting[] = [
  text(
    "path",
    undefined,
    "Database file, from the folder of the file that names it. Default: `.strata/memory.db` in the nearest folder upward that has a `.strata` folder, else `strata/memory.db` in the user's data folder.",
  ),
  text("namespace", "default", "Namespace used when a call names none."),
  choice(
    "durability",
    ["process", "power"],
    "process",
    "What an acknowledged write survives: the end of the process at any instant, or of the machine's power too.",
  ),
];

const redis: readonly Setting[] = [
  text("redis.host", "localhost", noRedis),
  number("redis.port", { minimum: 1, maximum: 65_535, whole: true }, 6_380, noRedis),
  number("redis.db", count, 0, noRedis),
  number(
    "redis.pool_size",
    count,
    10,
    "Without effect: a file needs no pool; one connection reads and writes it.",
  ),
  number("redis.connection_timeout", { ...seconds, whole: false }, 5, noRedis),
  number("redis.command_timeout", { ...seconds, whole: false }, 5, noRedis),
  number("redis.max_retries", count, 3, noRedis),
  number("redis.retry_delay", { ...seconds, whole: false }, 1, noRedis),
  flag(
    "redis.enable_fallback",
    true,
    "Without effect: there is no second store to fall back to. A write that fails is an error, never kept in memory alone.",
  ),
].map(unlikeReference);

const memory: readonly Setting[] = [
  ...tiers.flatMap(tierSettings),
  number(
    "memory.importance_decay_rate",
    share,
    0.1,
    "Share of the recency bonus a memory loses for each UTC day without use.",
  ),
  number(
    "memory.consolidation_threshold",
    share,
    0.75,
    "Relevance from which on a memory is promoted, one tier at a time.",
  ),
  number(
    "memory.demotion_threshold",
    share,
    0.2,
    "Relevance below which a memory of a tier with a time to live is demoted, one tier at a time; at most `consolidation_threshold`, 0: never.",
  ),
  number(
    "memory.cleanup_interval",
    seconds,
    300,
    "Seconds between two removals of what has expired and two consolidations, while a memory is open; 0: only when asked. Expired memories are invisible at once in any case.",
  ),
  flag(
    "memory.enable_background_tasks",
    true,
    "Whether an open memory cleans up and consolidates by itself; `cleanup` and `consolidate` do it when asked.",
  ),
  flag(
    "memory.auto_consolidate",
    true,
    "Whether memories move between tiers by themselves: every `cleanup_interval` while a memory is open, and a little when it is closed.",
  ),
];

const embedding: readonly Setting[] = [
  choice(
    "embedding.provider",
    ["builtin", "onnx", "http"],
    "builtin",
    "Who computes vectors: the model in the package, a sentence-transformers export on this machine, or an OpenAI-compatible service.",
  ),
  text(
    "embedding.model",
    undefined,
    "For onnx the folder or the stored model's name; for http the name the service knows. The built-in model needs none.",
  ),
  text("embedding.url", undefined, "For http: where `/embeddings` is found."),
  text(
    "embedding.key_variable",
    undefined,
    "For http: name of the environment variable that holds the key. A key itself stands in no file.",
  ),
  text(
    "embedding.former_model",
    undefined,
    "A model whose vectors are still there, as `strata reembed --model` takes it: it answers until all memories have a vector of the new one. The built-in model needs no naming.",
  ),
  number(
    "embedding.dimension",
    { minimum: 1, maximum: 65_536, whole: true },
    undefined,
    "Numbers in a vector. Default: the model's own; a model with another number is refused.",
  ),
  number(
    "embedding.batch_size",
    { minimum: 1, maximum: 100_000, whole: true },
    undefined,
    "Most texts of one call of the model. Default: found by measurement.",
  ),
  flag(
    "embedding.cache_embeddings",
    true,
    "Keep vectors of recent texts in memory and, of a model that costs something, in a file beside the database.",
  ),
  number(
    "embedding.cache_bytes",
    bytes,
    64 * 2 ** 20,
    "Bytes of texts and vectors that `cache_embeddings` keeps.",
  ),
];

const vectorStore: readonly Setting[] = [
  number(
    "vector_store.dimension",
    { minimum: 1, maximum: 65_536, whole: true },
    undefined,
    "The same as `embedding.dimension`, which wins: a vector has the dimension of its model.",
  ),
  choice(
    "vector_store.distance_metric",
    ["cosine"],
    "cosine",
    "Vectors have unit length, so cosine, dot product and distance give one order; only the cosine is told.",
  ),
  text("vector_store.index_type", "exact", noGraph),
  number("vector_store.hnsw_m", count, 16, noGraph),
  number("vector_store.hnsw_ef_construction", count, 200, noGraph),
  number("vector_store.hnsw_ef_search", count, 50, noGraph),
].map(unlikeReference);

const documents: readonly Setting[] = [
  number(
    "document.chunk_size",
    { minimum: 16, maximum: 8_192, whole: true },
    512,
    "Most tokens of a chunk, as the embedding model counts them.",
  ),
  number(
    "document.chunk_overlap",
    count,
    50,
    "Tokens a chunk shares with the one before it, at most half of `chunk_size`.",
  ),
  unlikeReference(
    number(
      "document.min_chunk_size",
      count,
      0,
      "Without effect: chunks end where the text does, and a short last one is kept, since nothing is dropped.",
    ),
  ),
  unlikeReference(
    number("document.max_chunk_size", count, 8_192, "Without effect: no chunk exceeds `chunk_size`."),
  ),
  unlikeReference(
    text(
      "document.chunking_method",
      "structure",
      "Without effect: every text is cut where its own structure is weakest: headings, paragraphs, sentences, words.",
    ),
  ),
  unlikeReference(
    list(
      "document.supported_formats",
      [],
      "Without effect: every format that can be read is read, told by its content.",
    ),
  ),
  number("document.max_file_size", bytes, 50 * 2 ** 20, "Bytes of the largest file that is read."),
];

const queries: readonly Setting[] = [
  number("query_cache.max_bytes", bytes, 64 * 2 ** 20, "Bytes of answers kept for questions asked again."),
  number("query_cache.ttl", { ...seconds, minimum: 1 }, 300, "Seconds an answer is kept at most."),
];

const tuning: readonly Setting[] = [
  flag(
    "tuning.enabled",
    true,
    "Let an open memory divide the bytes of `query_cache.max_bytes` and `embedding.cache_bytes`, whose sum stays as it is, by what its caches are asked for. It changes no answer. Without effect for the built-in model, which keeps no vectors.",
  ),
  flag(
    "tuning.search",
    false,
    "Let it also find how much narrower recalls may search: down to half of the candidates and of the vectors compared. Answers may differ within `tuning.min_overlap`; the same question asked twice may get two answers while something is tried.",
  ),
  number(
    "tuning.min_overlap",
    { minimum: 0.9, maximum: 1, whole: false },
    0.98,
    "For `tuning.search`: least mean share of the ten best hits of the configured search that a narrower one must find.",
  ),
  number(
    "tuning.latency_target_ms",
    { minimum: 1, maximum: 600_000, whole: false },
    100,
    "The objective of adaptive batching: 95 of 100 batches of texts are to come back from the model within this time.",
  ),
  text(
    "tuning.record",
    undefined,
    "File to which an open memory appends what it is asked and told, as hashes, lengths and times, for `strata tune --dry-run`.",
  ),
  flag("tuning.record_texts", false, "Write the texts of questions to `tuning.record` too."),
];

const monitoring: readonly Setting[] = [
  flag("monitoring.enabled", true, "Count and time what the memory does."),
  flag(
    "monitoring.track_latency",
    true,
    "Time operations; without it only the program's own metrics are kept.",
  ),
  flag("monitoring.track_memory", false, "Watch the process's memory and the event loop's delay."),
  number(
    "monitoring.report_interval",
    { ...seconds, maximum: 2_000_000 },
    0,
    "Seconds between two reports to the log, at level info; 0: none.",
  ),
  number(
    "monitoring.slow_ms",
    { minimum: 0, maximum: 3_600_000, whole: false },
    1_000,
    "Milliseconds from which on an operation is logged as slow, at level warn.",
  ),
  flag(
    "monitoring.share_figures",
    true,
    "Tell counts and times, at most every second, in a file beside the database, for `strata stats --watch` in another process.",
  ),
];

const hygiene: readonly Setting[] = [
  choice(
    "hygiene.duplicates",
    ["return", "store"],
    "return",
    "What storing a text again does, where no id or key is given: return the memory that is there, or store another.",
  ),
  choice(
    "hygiene.secrets",
    ["flag", "refuse", "off"],
    "flag",
    "What is done with a text that holds what looks like a credential: store and say so, refuse it, or nothing.",
  ),
  choice(
    "hygiene.recall_loops",
    ["flag", "refuse", "off"],
    "flag",
    "What is done with a text that repeats what was just recalled: store and say so, refuse it, or nothing.",
  ),
];

const logging: readonly Setting[] = [
  choice(
    "logging.level",
    ["silent", "error", "warn", "info", "debug"],
    "silent",
    "What is written to standard error.",
  ),
  choice("logging.format", ["text", "json"], "text", "Lines for a reader or JSON, one object a line."),
];

/** Every setting, in the order of the reference; what the reference has not stands among it. */
export const settings: readonly Setting[] = [
  ...general,
  ...redis,
  ...memory,
  ...embedding,
  ...vectorStore,
  ...documents,
  ...queries,
  ...tuning,
  ...monitoring,
  ...hygiene,
  ...logging,
];

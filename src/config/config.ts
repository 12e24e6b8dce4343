import { resolve } from "node:path";
import { StrataError } from "../contract/errors.ts";
import { checkNamespace } from "../contract/scope.ts";
import { type TierTable, tiers } from "../contract/tier.ts";
import { type DatabasePath, defaultDatabasePath, type PathSurroundings } from "./database-path.ts";
import { type Layers, type ResolvedSetting, readLayers } from "./layers.ts";
import type { SettingValue } from "./setting-kinds.ts";

/** Everything that can be configured, checked. */
export interface Config {
  readonly database: DatabasePath;
  readonly namespace: string;
  readonly durability: "process" | "power";
  readonly tiers: TierTable;
  readonly decayRate: number;
  /** 0: only when asked. */
  readonly cleanupIntervalMs: number;
  readonly consolidation: {
    readonly threshold: number;
    readonly demotionThreshold: number;
    /** Passes run by themselves; only with background tasks. */
    readonly automatic: boolean;
  };
  readonly embedding: EmbeddingConfig;
  readonly document: {
    readonly chunkSize: number;
    readonly overlap: number;
    readonly maxFileBytes: number;
  };
  readonly queryCache: { readonly maxBytes: number; readonly ttlMs: number };
  readonly hygiene: HygieneConfig;
  readonly tuning: TuningConfig;
  readonly monitoring: MonitoringConfig;
  readonly logging: { readonly level: LogLevel; readonly format: "text" | "json" };
  /** Sentences about settings that mean something else than in the reference, and values that look wrong. */
  readonly notices: readonly string[];
}

export interface EmbeddingConfig {
  /** As `openModel` takes it: "builtin", "onnx:FOLDER", "http:URL#MODEL". */
  readonly model: string;
  /** The same of a model that made vectors before, while `reembed` is under way. */
  readonly formerModel: string | undefined;
  /** Reads the key from the environment when it is called. */
  readonly apiKey: (() => string | undefined) | undefined;
  readonly dimension: number | undefined;
  /** Undefined: found by measurement. */
  readonly batchSize: number | undefined;
  /** 0: nothing is kept. */
  readonly cacheBytes: number;
}

/** What is done with texts that one may not want to keep. */
export interface HygieneConfig {
  readonly duplicates: "return" | "store";
  readonly secrets: "flag" | "refuse" | "off";
  readonly recallLoops: "flag" | "refuse" | "off";
}

export interface TuningConfig {
  readonly enabled: boolean;
  /** Only with `enabled`. */
  readonly search: boolean;
  readonly minOverlap: number;
  readonly latencyTargetMs: number;
  /** Absolute; undefined: nothing is recorded. */
  readonly recordPath: string | undefined;
  readonly recordTexts: boolean;
}

export interface MonitoringConfig {
  readonly enabled: boolean;
  readonly trackMemory: boolean;
  /** 0: never. */
  readonly reportIntervalMs: number;
  readonly slowMs: number;
  /** Tell the figures to `strata stats --watch` in another process. */
  readonly shareFigures: boolean;
}

export type LogLevel = "silent" | "error" | "warn" | "info" | "debug";

/** What a program sets in code; each field wins over the environment. */
export interface ConfigOverrides {
  readonly path?: string | undefined;
  readonly namespace?: string | undefined;
  readonly durability?: "process" | "power" | undefined;
  /** Settings by key, such as `{ "memory.working_ttl": 600 }`. */
  readonly config?: Readonly<Record<string, SettingValue>> | undefined;
  /**
   * The one configuration file to read, or false for none. Default: `STRATA_CONFIG`, else the user's file and over it
   * `strata.toml` beside the `.strata` folder in use.
   */
  readonly configFile?: string | false | undefined;
}

/** Where configuration comes from; each field defaults to the process's own. */
export interface ConfigSources extends PathSurroundings {
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Folder for the user's configuration of this program. */
  readonly configFolder?: string | undefined;
}

/** Every setting with its value and origin, and what is wrong. */
export function readSettings(
  { config, configFile, ...named }: ConfigOverrides,
  sources: ConfigSources,
): Promise<Layers> {
  return readLayers({
    given: { ...config, ...named },
    configFile,
    environment: sources.environment ?? process.env,
    cwd: sources.cwd ?? process.cwd(),
    configFolder: sources.configFolder,
  });
}

/**
 * Reads files, the environment and what the program sets, checks each value, and fills in the defaults.
 * @throws INVALID_CONFIGURATION naming the key, or the nearest known one; FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function loadConfig(
  overrides: ConfigOverrides = {},
  sources: ConfigSources = {},
): Promise<Config> {
  return configOf(await readSettings(overrides, sources), sources);
}

/** What the settings come to. @throws INVALID_CONFIGURATION and whatever stands among the layers' problems */
export function configOf(layers: Layers, sources: ConfigSources): Config {
  const [problem] = layers.problems;
  if (problem) throw problem;
  const value = (key: string): SettingValue | undefined => layers.get(key).value;
  const number = (key: string): number => Number(value(key));
  const limits = tiers.map((tier) => {
    const entry = { ttlSeconds: number(`memory.${tier}_ttl`), capacity: number(`memory.${tier}_capacity`) };
    return [tier, entry] as const;
  });
  const background = value("memory.enable_background_tasks") === true;
  return {
    database: pathOf(layers.get("path"), sources),
    namespace: checkNamespace(value("namespace")),
    durability: value("durability") as Config["durability"],
    tiers: Object.fromEntries(limits) as TierTable,
    decayRate: number("memory.importance_decay_rate"),
    cleanupIntervalMs: background ? number("memory.cleanup_interval") * 1_000 : 0,
    consolidation: consolidationOf(layers, background),
    embedding: embeddingOf(layers, sources.environment ?? process.env),
    document: documentOf(layers),
    queryCache: { maxBytes: number("query_cache.max_bytes"), ttlMs: number("query_cache.ttl") * 1_000 },
    hygiene: {
      duplicates: value("hygiene.duplicates") as HygieneConfig["duplicates"],
      secrets: value("hygiene.secrets") as HygieneConfig["secrets"],
      recallLoops: value("hygiene.recall_loops") as HygieneConfig["recallLoops"],
    },
    tuning: {
      enabled: value("tuning.enabled") === true,
      search: value("tuning.enabled") === true && value("tuning.search") === true,
      minOverlap: number("tuning.min_overlap"),
      latencyTargetMs: number("tuning.latency_target_ms"),
      recordPath: recordPathOf(layers.get("tuning.record").value, sources),
      recordTexts: value("tuning.record_texts") === true,
    },
    monitoring: {
      enabled: value("monitoring.enabled") === true && value("monitoring.track_latency") === true,
      trackMemory: value("monitoring.enabled") === true && value("monitoring.track_memory") === true,
      reportIntervalMs:
        value("monitoring.enabled") === true ? number("monitoring.report_interval") * 1_000 : 0,
      slowMs: number("monitoring.slow_ms"),
      shareFigures: value("monitoring.enabled") === true && value("monitoring.share_figures") === true,
    },
    logging: {
      level: value("logging.level") as LogLevel,
      format: value("logging.format") as "text" | "json",
    },
    notices: [...layers.notices, ...unusedModel(layers)],
  };
}

function pathOf({ value, origin }: ResolvedSetting, surroundings: PathSurroundings): DatabasePath {
  if (value === undefined) return defaultDatabasePath(surroundings);
  const path = resolve(surroundings.cwd ?? process.cwd(), String(value));
  if (origin === "given") return { path, origin };
  return { path, origin: origin === "STRATA_PATH" ? "environment" : "configuration file" };
}

function recordPathOf(value: SettingValue | undefined, { cwd }: PathSurroundings): string | undefined {
  return value === undefined ? undefined : resolve(cwd ?? process.cwd(), String(value));
}

function embeddingOf(
  layers: Layers,
  environment: Readonly<Record<string, string | undefined>>,
): EmbeddingConfig {
  const value = (key: string): SettingValue | undefined => layers.get(`embedding.${key}`).value;
  const keyVariable = value("key_variable");
  const dimension = value("dimension") ?? layers.get("vector_store.dimension").value;
  return {
    model: modelName(layers),
    formerModel: value("former_model") === undefined ? undefined : String(value("former_model")),
    apiKey: keyVariable === undefined ? undefined : () => environment[String(keyVariable)],
    dimension: dimension === undefined ? undefined : Number(dimension),
    batchSize: value("batch_size") === undefined ? undefined : Number(value("batch_size")),
    cacheBytes: value("cache_embeddings") === true ? Number(value("cache_bytes")) : 0,
  };
}

function modelName(layers: Layers): string {
  const provider = layers.get("embedding.provider").value;
  const { value: model } = layers.get("embedding.model");
  const { value: url } = layers.get("embedding.url");
  if (provider === "builtin") return "builtin";
  if (model === undefined) throw missing("embedding.model", String(provider));
  if (provider === "onnx") return `onnx:${model}`;
  if (url === undefined) throw missing("embedding.url", "http");
  return `http:${url}#${model}`;
}

function unusedModel(layers: Layers): string[] {
  const { value: model } = layers.get("embedding.model");
  if (layers.get("embedding.provider").value !== "builtin" || model === undefined) return [];
  return [
    'embedding.model: Without effect: the built-in model is one. Set embedding.provider to "onnx" or "http".',
  ];
}

function missing(key: string, provider: string): StrataError {
  return new StrataError(
    "INVALID_CONFIGURATION",
    `embedding.provider is "${provider}", which needs ${key}; set both.`,
    { details: { key } },
  );
}

function consolidationOf(layers: Layers, background: boolean): Config["consolidation"] {
  const threshold = Number(layers.get("memory.consolidation_threshold").value);
  const { value, origin } = layers.get("memory.demotion_threshold");
  const demotionThreshold = origin === "default" ? Math.min(Number(value), threshold) : Number(value);
  if (!(demotionThreshold <= threshold)) {
    throw new StrataError(
      "INVALID_CONFIGURATION",
      `memory.demotion_threshold must be at most memory.consolidation_threshold, here ${threshold}; it is ${demotionThreshold}.`,
      { details: { key: "memory.demotion_threshold" } },
    );
  }
  const automatic = background && layers.get("memory.auto_consolidate").value === true;
  return { threshold, demotionThreshold, automatic };
}

function documentOf(layers: Layers): Config["document"] {
  const chunkSize = Number(layers.get("document.chunk_size").value);
  const { value, origin } = layers.get("document.chunk_overlap");
  const half = Math.floor(chunkSize / 2);
  if (origin !== "default" && !(Number(value) <= half)) {
    throw new StrataError(
      "INVALID_CONFIGURATION",
      `document.chunk_overlap must be at most half of document.chunk_size, here ${half}; it is ${Number(value)}.`,
      { details: { key: "document.chunk_overlap" } },
    );
  }
  return {
    chunkSize,
    overlap: Math.min(Number(value), half),
    maxFileBytes: Number(layers.get("document.max_file_size").value),
  };
}

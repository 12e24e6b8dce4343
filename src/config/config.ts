import { resolve } from "node:path";
import { StrataError } from "../contract/errors.ts";
import { checkNamespace } from "../contract/scope.ts";
import { type TierTable, tiers } from "../contract/tier.ts";
import { type DatabasePath, defaultDatabasePath, type PathSurroundings } from "./database-path.ts";
import { suggestion } from "./nearest-name.ts";
import { type Setting, type SettingValue, settings } from "./settings.ts";

/** Everything that can be configured, checked. */
export interface Config {
  readonly database: DatabasePath;
  readonly namespace: string;
  readonly durability: "process" | "power";
  readonly tiers: TierTable;
  readonly decayRate: number;
}

/** What a program sets in code; each field wins over the environment. */
export interface ConfigOverrides {
  readonly path?: string | undefined;
  readonly namespace?: string | undefined;
  readonly durability?: "process" | "power" | undefined;
  /** Settings by key, such as `{ "memory.working_ttl": 600 }`. */
  readonly config?: Readonly<Record<string, SettingValue>> | undefined;
}

/** Where configuration comes from; each field defaults to the process's own. */
export interface ConfigSources extends PathSurroundings {
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Variables for the project's own tests; they configure nothing. */
const testPrefix = "STRATA_TEST_";

function invalid(origin: string, setting: Setting): StrataError {
  return new StrataError("INVALID_CONFIGURATION", `${origin} must be ${setting.expects}.`, {
    details: { key: setting.key },
  });
}

function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Map<string, SettingValue> {
  const values = new Map<string, SettingValue>();
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith("STRATA_") || variable.startsWith(testPrefix)) continue;
    const setting = settings.find((candidate) => candidate.variable === variable);
    if (!setting) {
      const hint = suggestion(
        variable,
        settings.map((candidate) => candidate.variable),
      );
      throw new StrataError(
        "INVALID_CONFIGURATION",
        `The environment variable ${variable} names no setting${hint || "."}`,
      );
    }
    const value = setting.parse(text);
    if (value === undefined) throw invalid(`The environment variable ${variable}`, setting);
    values.set(setting.key, value);
  }
  return values;
}

function fromOverrides(overrides: ConfigOverrides): Map<string, SettingValue> {
  const { config, ...named } = overrides;
  const values = new Map<string, SettingValue>();
  for (const [key, raw] of Object.entries({ ...config, ...named })) {
    if (raw === undefined) continue;
    const setting = settings.find((candidate) => candidate.key === key);
    if (!setting) {
      const hint = suggestion(
        key,
        settings.map((candidate) => candidate.key),
      );
      throw new StrataError("INVALID_CONFIGURATION", `There is no setting "${key}"${hint || "."}`);
    }
    const value = typeof raw === typeof (setting.default ?? "") ? setting.parse(String(raw)) : undefined;
    if (value === undefined) throw invalid(`The setting "${key}"`, setting);
    values.set(key, value);
  }
  return values;
}

function pathOf(
  given: SettingValue | undefined,
  named: SettingValue | undefined,
  surroundings: PathSurroundings,
): DatabasePath {
  const cwd = surroundings.cwd ?? process.cwd();
  if (given !== undefined) return { path: resolve(cwd, String(given)), origin: "given" };
  if (named !== undefined) return { path: resolve(cwd, String(named)), origin: "environment" };
  return defaultDatabasePath(surroundings);
}

/**
 * Reads the environment and what the program sets, checks each value, and fills in the defaults.
 * @throws INVALID_CONFIGURATION naming the key, or the nearest known one.
 */
export function loadConfig(overrides: ConfigOverrides = {}, sources: ConfigSources = {}): Config {
  const given = fromOverrides(overrides);
  const named = fromEnvironment(sources.environment ?? process.env);
  const value = (key: string): SettingValue =>
    given.get(key) ?? named.get(key) ?? settings.find((setting) => setting.key === key)!.default!;
  const limits = tiers.map((tier) => {
    const entry = {
      ttlSeconds: Number(value(`memory.${tier}_ttl`)),
      capacity: Number(value(`memory.${tier}_capacity`)),
    };
    return [tier, entry] as const;
  });
  return {
    database: pathOf(given.get("path"), named.get("path"), sources),
    namespace: checkNamespace(value("namespace")),
    durability: value("durability") as Config["durability"],
    tiers: Object.fromEntries(limits) as TierTable,
    decayRate: Number(value("memory.importance_decay_rate")),
  };
}

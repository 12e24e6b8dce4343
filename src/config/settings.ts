import { defaultTierTable, type Tier, tiers } from "../contract/tier.ts";

/** Value of a setting. */
export type SettingValue = string | number;

/** One row of the table that types, checks, defaults and documents every setting. */
export interface Setting {
  /** As in the configuration file: section and key joined by a dot; no section for the few at the top. */
  readonly key: string;
  /** Environment variable that sets it. */
  readonly variable: string;
  readonly default: SettingValue | undefined;
  readonly description: string;
  /** Turns text into the value; undefined when it cannot. */
  parse(text: string): SettingValue | undefined;
  /** What `parse` takes, to finish the sentence "expected …". */
  readonly expects: string;
}

function variableOf(key: string): string {
  return `STRATA_${key.replaceAll(".", "_").toUpperCase()}`;
}

function text(key: string, description: string, fallback?: string): Setting {
  return {
    key,
    variable: variableOf(key),
    default: fallback,
    description,
    parse: (value) => (value.trim() === "" ? undefined : value),
    expects: "a text that is not empty",
  };
}

function choice(key: string, choices: readonly string[], fallback: string, description: string): Setting {
  return {
    key,
    variable: variableOf(key),
    default: fallback,
    description,
    parse: (value) => (choices.includes(value) ? value : undefined),
    expects: choices.map((name) => `"${name}"`).join(" or "),
  };
}

interface NumberRule {
  readonly minimum: number;
  readonly maximum: number;
  readonly whole: boolean;
}

function number(key: string, rule: NumberRule, fallback: number, description: string): Setting {
  const { minimum, maximum, whole } = rule;
  return {
    key,
    variable: variableOf(key),
    default: fallback,
    description,
    parse(value) {
      const parsed = value.trim() === "" ? Number.NaN : Number(value);
      const fits = parsed >= minimum && parsed <= maximum && (!whole || Number.isInteger(parsed));
      return fits ? parsed : undefined;
    },
    expects: `a ${whole ? "whole " : ""}number from ${minimum} to ${maximum}`,
  };
}

const count: NumberRule = { minimum: 0, maximum: 1_000_000_000, whole: true };

function tierSettings(tier: Tier): Setting[] {
  const limits = defaultTierTable[tier];
  return [
    number(
      `memory.${tier}_ttl`,
      count,
      limits.ttlSeconds,
      `Seconds since last use a memory of ${tier} lives; 0: it never expires.`,
    ),
    number(
      `memory.${tier}_capacity`,
      count,
      limits.capacity,
      `Entries ${tier} holds in each namespace; 0: unlimited.`,
    ),
  ];
}

/** Every setting, in the order of the reference. */
export const settings: readonly Setting[] = [
  text(
    "path",
    "Database file. Default: `.strata/memory.db` in the nearest folder upward that has a `.strata` folder, else `strata/memory.db` in the user's data folder.",
  ),
  text("namespace", "Namespace used when a call names none.", "default"),
  choice(
    "durability",
    ["process", "power"],
    "process",
    "What an acknowledged write survives: the end of the process at any instant, or of the machine's power too.",
  ),
  ...tiers.flatMap(tierSettings),
  number(
    "memory.importance_decay_rate",
    { minimum: 0, maximum: 1, whole: false },
    0.1,
    "Share of the recency bonus a memory loses for each UTC day without use.",
  ),
];

import { inUnit, type Unit } from "./units.ts";

/** Value of a setting. */
export type SettingValue = string | number | boolean | readonly string[];

/** One row of the table that types, checks, defaults and documents every setting. */
export interface Setting {
  /** As in the configuration file: section and key joined by a dot; no section for the few at the top. */
  readonly key: string;
  /** Environment variable that sets it. */
  readonly variable: string;
  /** Undefined: decided elsewhere, as the description says. */
  readonly default: SettingValue | undefined;
  /** What it does; of a key without effect, why it has none. */
  readonly description: string;
  /** What it takes, to finish the sentence "… must be". */
  readonly expects: string;
  /**
   * False for a key of the reference that is accepted, checked, and has no effect, or another one than there: whoever
   * sets it is told the description.
   */
  readonly asInReference: boolean;
  /** Turns text of the environment into the value; undefined when it cannot. */
  parse(text: string): SettingValue | undefined;
  /** Takes a value of a file or of code; undefined when it is none. */
  accept(value: unknown): SettingValue | undefined;
  /** More to say of a value that was refused or looks wrong, such as the same time in the right unit. */
  hint?(value: unknown): string | undefined;
}

interface Row {
  readonly key: string;
  readonly description: string;
}

function row<T extends SettingValue>(
  { key, description }: Row,
  rest: Pick<Setting, "expects"> & {
    readonly default: T | undefined;
    parse(text: string): T | undefined;
    accept(value: unknown): T | undefined;
    hint?(value: unknown): string | undefined;
  },
): Setting {
  const variable = `STRATA_${key.replaceAll(".", "_").toUpperCase()}`;
  return { key, description, variable, asInReference: true, ...rest };
}

export function text(key: string, fallback: string | undefined, description: string): Setting {
  const take = (value: unknown): string | undefined =>
    typeof value === "string" && value.trim() !== "" ? value : undefined;
  return row(
    { key, description },
    { default: fallback, expects: "a text that is not empty", parse: take, accept: take },
  );
}

export function choice(
  key: string,
  choices: readonly string[],
  fallback: string,
  description: string,
): Setting {
  const take = (value: unknown): string | undefined => choices.find((each) => each === value);
  return row(
    { key, description },
    {
      default: fallback,
      expects: choices.map((name) => `"${name}"`).join(" or "),
      parse: take,
      accept: take,
    },
  );
}

export function flag(key: string, fallback: boolean, description: string): Setting {
  const words: Readonly<Record<string, boolean>> = { true: true, false: false, "1": true, "0": false };
  return row(
    { key, description },
    {
      default: fallback,
      expects: "true or false",
      parse: (value) => (Object.hasOwn(words, value) ? words[value] : undefined),
      accept: (value) => (typeof value === "boolean" ? value : undefined),
    },
  );
}

export function list(key: string, fallback: readonly string[], description: string): Setting {
  return row(
    { key, description },
    {
      default: fallback,
      expects: "a list of texts",
      parse: (value) =>
        value
          .split(",")
          .map((each) => each.trim())
          .filter((each) => each !== ""),
      accept: (value) =>
        Array.isArray(value) && value.every((each) => typeof each === "string") ? value : undefined,
    },
  );
}

export interface NumberRule {
  readonly minimum: number;
  readonly maximum: number;
  readonly whole: boolean;
  readonly unit?: Unit | undefined;
}

export const count: NumberRule = { minimum: 0, maximum: 1_000_000_000, whole: true };
export const seconds: NumberRule = { ...count, unit: "seconds" };
export const bytes: NumberRule = { minimum: 1, maximum: 2 ** 40, whole: true, unit: "bytes" };
export const share: NumberRule = { minimum: 0, maximum: 1, whole: false };

export function number(
  key: string,
  rule: NumberRule,
  fallback: number | undefined,
  description: string,
): Setting {
  const { minimum, maximum, whole, unit } = rule;
  const accept = (value: unknown): number | undefined => {
    if (typeof value !== "number" || !(value >= minimum && value <= maximum)) return undefined;
    return !whole || Number.isInteger(value) ? value : undefined;
  };
  return row(
    { key, description },
    {
      default: fallback,
      expects: `a ${whole ? "whole " : ""}number${unit ? ` of ${unit}` : ""} from ${minimum} to ${maximum}`,
      parse: (value) => (value.trim() === "" ? undefined : accept(Number(value))),
      accept,
      ...(unit && { hint: (value: unknown) => inUnit(value, unit, fallback) }),
    },
  );
}

/** A key of the reference that means something else here, or nothing: whoever sets it is told why. */
export function unlikeReference(setting: Setting): Setting {
  return { ...setting, asInReference: false };
}

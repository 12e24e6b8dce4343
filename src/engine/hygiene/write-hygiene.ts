import type { HygieneConfig } from "../../config/config.ts";
import { suggestion } from "../../config/nearest-name.ts";
import { StrataError } from "../../contract/errors.ts";
import { nearDuplicateThresholds } from "../../contract/near-duplicates.ts";
import { checkShare } from "../check-values.ts";
import type { SecretFinding } from "./find-secrets.ts";
import { findSecrets } from "./find-secrets.ts";
import type { RecallEchoes } from "./recall-echoes.ts";

/** What is done with a text that one may not want to keep: said in the result, refused, or not looked for. */
export type HygienePolicy = "flag" | "refuse" | "off";

/** How a text is looked at before it is stored; what is not given is as configured. */
export interface HygieneOptions {
  /**
   * What storing a text again does. "return" (default): the memory that is there is returned, used once more, and takes
   * over further tags, and importance, tier and pin where they are higher. "store": it is another memory.
   */
  readonly onDuplicate?: "return" | "store" | undefined;
  /**
   * For a text that says the same as a memory in other form (case, punctuation, contractions, articles): store it
   * (default), store it and name that memory in `similar`, or return that memory instead. Not one step with the writes
   * of others: two processes may store two forms at once.
   */
  readonly onSimilar?: "store" | "flag" | "return" | undefined;
  /** Least cosine, 0..1, for `onSimilar`: default .9. The words have to agree in any case. */
  readonly similarity?: number | undefined;
  /** For a text with what looks like a credential. Default "flag". */
  readonly onSecret?: HygienePolicy | undefined;
  /** For a text that repeats what was recalled in the last minutes. Default "flag". */
  readonly onRecallLoop?: HygienePolicy | undefined;
}

/** What was noticed of a text that was stored all the same. */
export type HygieneFlag = "secret" | "recall-loop" | "similar";

/** What looking at a text found. */
export interface HygieneFindings {
  /** Empty: nothing was noticed. */
  readonly flags: readonly HygieneFlag[];
  /** With the flag "secret": which rules, and where. Never the secret. */
  readonly secrets?: readonly SecretFinding[];
  /** With the flag "similar": the id of the memory that says the same in another form. */
  readonly similar?: string;
}

/** Every choice made. */
export type CheckedHygiene = { readonly [Name in keyof HygieneOptions]-?: NonNullable<HygieneOptions[Name]> };

export const hygieneNames: readonly (keyof HygieneOptions)[] = [
  "onDuplicate",
  "onSimilar",
  "similarity",
  "onSecret",
  "onRecallLoop",
];

const policies = ["flag", "refuse", "off"];
const nothing: HygieneFindings = { flags: [] };

/** @throws INVALID_ARGUMENT */
export function checkHygiene(given: HygieneOptions, configured: HygieneConfig): CheckedHygiene {
  return {
    onDuplicate: oneOf(given.onDuplicate, "onDuplicate", ["return", "store"]) ?? configured.duplicates,
    onSimilar: oneOf(given.onSimilar, "onSimilar", ["store", "flag", "return"]) ?? "store",
    similarity:
      given.similarity === undefined
        ? nearDuplicateThresholds.cosine
        : checkShare(given.similarity, "similarity"),
    onSecret: checkPolicy(given.onSecret, "onSecret") ?? configured.secrets,
    onRecallLoop: checkPolicy(given.onRecallLoop, "onRecallLoop") ?? configured.recallLoops,
  };
}

/** @throws INVALID_ARGUMENT */
export function checkPolicy(value: HygienePolicy | undefined, argument: string): HygienePolicy | undefined {
  return oneOf(value, argument, policies);
}

function oneOf<T extends string>(
  value: T | undefined,
  argument: string,
  known: readonly string[],
): T | undefined {
  if (value === undefined || known.includes(value)) return value;
  const hint = typeof value === "string" ? suggestion(value, known) : "";
  throw new StrataError("INVALID_ARGUMENT", `Expected ${argument} as ${known.join(", ")}${hint || "."}`, {
    details: { argument },
  });
}

/**
 * Looks at a text before it is stored.
 * @throws SECRET_DETECTED, RECALL_LOOP Where the policy is to refuse.
 */
export function inspectText(
  text: string,
  policy: Pick<CheckedHygiene, "onSecret" | "onRecallLoop">,
  echoes: RecallEchoes,
  namespace: string,
): HygieneFindings {
  const secrets = policy.onSecret === "off" ? [] : findSecrets(text);
  if (secrets[0] && policy.onSecret === "refuse") throw secretDetected(secrets[0], secrets.length);
  const isEcho = policy.onRecallLoop !== "off" && echoes.isEcho(namespace, text);
  if (isEcho && policy.onRecallLoop === "refuse") {
    throw new StrataError(
      "RECALL_LOOP",
      "Expected something new; the text repeats what was just recalled. Store only what is not there yet.",
    );
  }
  if (secrets.length === 0 && !isEcho) return nothing;
  return {
    flags: [
      ...(secrets.length > 0 ? (["secret"] as const) : []),
      ...(isEcho ? (["recall-loop"] as const) : []),
    ],
    ...(secrets.length > 0 && { secrets }),
  };
}

/** @param at Where the text begins in what the caller knows. */
export function secretDetected(first: SecretFinding, count: number, at = 0): StrataError {
  return new StrataError(
    "SECRET_DETECTED",
    `Expected a text without credentials; at character ${first.start + at} stands what looks like one (${first.rule}). Take it out, or allow it with onSecret "flag".`,
    { details: { rule: first.rule, offset: first.start + at, findings: count } },
  );
}

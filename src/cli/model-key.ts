import { StrataError } from "../contract/errors.ts";

/** Variables that services themselves name, by host: a key is sent to no other host unless it is named. */
const variables: Readonly<Record<string, string>> = { "api.openai.com": "OPENAI_API_KEY" };

/**
 * The key for a model behind HTTP, from the environment by its name.
 * @throws INVALID_ARGUMENT When the variable named is not set.
 */
export function apiKeyOf(
  model: string,
  named: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (named !== undefined) {
    const key = environment[named];
    if (key) return key;
    throw new StrataError("INVALID_ARGUMENT", `Expected a key in the environment variable ${named}.`, {
      details: { argument: "keyVariable" },
    });
  }
  const host = URL.parse(model.replace(/^http:(?=https?:)/, ""))?.host;
  const variable = variables[host ?? ""];
  return variable === undefined ? undefined : environment[variable];
}

import type { TokenCounter } from "../contract/chunk.ts";
import { loadOptional } from "./readers/optional-package.ts";

/**
 * Counts tokens as cl100k_base does, through the optional package gpt-tokenizer. Names of special tokens that stand in
 * a text count as the text they are.
 * @throws MISSING_PACKAGE
 */
export async function loadCl100kCounter(): Promise<TokenCounter> {
  const { countTokens } = await loadOptional(
    "gpt-tokenizer",
    "Counting cl100k tokens",
    () => import("gpt-tokenizer/encoding/cl100k_base"),
  );
  const options = { disallowedSpecial: new Set<string>() };
  return { id: "cl100k_base", count: (text) => countTokens(text, options) };
}

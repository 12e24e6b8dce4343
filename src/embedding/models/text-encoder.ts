import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StrataError } from "../../contract/errors.ts";
import { readJson } from "./onnx-folder.ts";
import { loadOptional } from "./optional-package.ts";

/** A text as the graph reads it. */
export interface EncodedText {
  /** Special tokens included, at most the model's number of tokens. */
  readonly ids: readonly number[];
  /** Share 0..1 of the pieces that the vocabulary lacks; 1 for a text without pieces. */
  readonly unknownShare: number;
}

/** What is used of the package's class; its own declarations do not resolve for ES modules. */
interface Tokenizer {
  encode(
    text: string,
    options?: { readonly add_special_tokens: boolean },
  ): { readonly ids: (number | undefined)[] };
  token_to_id(token: string): number | undefined;
}

/** Characters read for each token the model takes: what lies behind could only matter after very long blanks. */
const charactersPerToken = 200;

/** Tokens of texts as a model's own tokenizer makes them. */
export class TextEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  readonly #unknownId: number | undefined;
  readonly #maxTokens: number;

  private constructor(tokenizer: Tokenizer, unknown: string | undefined, maxTokens: number) {
    this.#tokenizer = tokenizer;
    const numbers = (ids: readonly (number | undefined)[]): number[] => ids.map((id) => id ?? -1);
    const whole = numbers(tokenizer.encode("a").ids);
    const bare = numbers(tokenizer.encode("a", { add_special_tokens: false }).ids);
    const start = Math.max(
      0,
      whole.findIndex((_, at) => bare.every((id, i) => whole[at + i] === id)),
    );
    this.#before = whole.slice(0, start);
    this.#after = whole.slice(start + bare.length);
    this.#unknownId = unknown === undefined ? undefined : tokenizer.token_to_id(unknown);
    this.#maxTokens = maxTokens;
  }

  /** @throws MISSING_PACKAGE, FILE_UNREADABLE */
  static async open(folder: string, maxTokens: number): Promise<TextEncoder> {
    const { Tokenizer } = await loadOptional(
      "@huggingface/tokenizers",
      "An ONNX model",
      async () => import("@huggingface/tokenizers"),
    );
    const config = readJson(folder, "tokenizer_config.json") ?? {};
    try {
      const json = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8"));
      const unknown: unknown = json?.model?.unk_token;
      const tokenizer: Tokenizer = new Tokenizer(json, config);
      return new TextEncoder(tokenizer, typeof unknown === "string" ? unknown : undefined, maxTokens);
    } catch (cause) {
      throw new StrataError("FILE_UNREADABLE", "Expected a tokenizer in the model's tokenizer.json.", {
        cause,
        details: { file: "tokenizer.json" },
      });
    }
  }

  encode(text: string): EncodedText {
    const read = text.slice(0, this.#maxTokens * charactersPerToken);
    // The package gives undefined for a word that a vocabulary of words lacks.
    const pieces = this.#tokenizer
      .encode(read, { add_special_tokens: false })
      .ids.map((id) => id ?? this.#unknownId)
      .filter((id) => id !== undefined);
    const room = Math.max(0, this.#maxTokens - this.#before.length - this.#after.length);
    const kept = pieces.slice(0, room);
    const unknown = kept.reduce((sum, id) => sum + (id === this.#unknownId ? 1 : 0), 0);
    return {
      ids: [...this.#before, ...kept, ...this.#after],
      unknownShare: kept.length === 0 ? 1 : unknown / kept.length,
    };
  }
}

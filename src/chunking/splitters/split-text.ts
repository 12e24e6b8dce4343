import type { Chunk, TokenCounter } from "../../contract/chunk.ts";
import { StrataError } from "../../contract/errors.ts";
import type { DocumentKind } from "../document-kind.ts";
import { CodeLines } from "./code-lines.ts";
import { MarkdownLines } from "./markdown-lines.ts";
import { PlainLines, RecordLines } from "./plain-lines.ts";
import { type SplitLimits, type SplitMethod, TextSplitter } from "./text-splitter.ts";

/** How a text is cut: by its kind's own structure, as another kind would be, or filled up token by token. */
export type SplitMethodName = "auto" | "recursive" | "markdown" | "code" | "tokens";

export interface SplitOptions {
  readonly kind: DocumentKind;
  readonly counter: TokenCounter;
  /** Most tokens of a chunk, as the counter counts the chunk alone. Default 512. */
  readonly chunkTokens?: number | undefined;
  /** Most tokens at a chunk's start repeated from the end of the one before. None across a heading. Default 50. */
  readonly overlapTokens?: number | undefined;
  /** A chunk ends before a heading once it holds this many new tokens. Default an eighth of `chunkTokens`. */
  readonly minChunkTokens?: number | undefined;
  /** Default "auto": Markdown (HTML and DOCX too), code (JSON too) or recursive, by kind. */
  readonly method?: SplitMethodName | undefined;
}

/** Options of a caller that has no kind to give: the document knows it. */
export type ChunkingOptions = Omit<SplitOptions, "kind">;

/** UTF-16 units handed to the splitter at once, whole text or stream alike: milliseconds of work. */
export const partLength = 65_536;

/**
 * Cuts a text into chunks, in order. Of each, `text.slice(start, end)` is the chunk, its tokens are at most
 * `chunkTokens`, and it starts and ends with text (a first line of Markdown or code with its indentation); between and
 * around chunks only white space is left out. No code point is cut, and no user-perceived character that fits a chunk.
 * @throws INVALID_ARGUMENT
 */
export function* splitText(text: string, options: SplitOptions): Generator<Chunk, void, undefined> {
  const splitter = createSplitter(options);
  for (let at = 0; at < text.length; at += partLength) yield* splitter.push(text.slice(at, at + partLength));
  yield* splitter.finish();
}

/**
 * The chunks {@link splitText} gives for all parts joined, while the parts arrive. Holds one chunk and some 64 Ki units
 * beside the part at hand, whatever the length of text, line or word.
 * @throws INVALID_ARGUMENT, and what the parts throw
 */
export async function* splitStream(
  parts: AsyncIterable<string>,
  options: SplitOptions,
): AsyncGenerator<Chunk, void, undefined> {
  const splitter = createSplitter(options);
  // Small parts are gathered: each push looks at what is held once.
  let held: string[] = [];
  let length = 0;
  for await (const part of parts) {
    held.push(part);
    length += part.length;
    if (length < partLength) continue;
    const text = held.join("");
    held = [];
    length = 0;
    for (let at = 0; at < text.length; at += partLength)
      yield* splitter.push(text.slice(at, at + partLength));
  }
  yield* splitter.push(held.join(""));
  yield* splitter.finish();
}

function createSplitter(options: SplitOptions): TextSplitter {
  return new TextSplitter(methodFor(options.kind, options.method ?? "auto"), checkedLimits(options));
}

function methodFor(kind: DocumentKind, name: SplitMethodName): SplitMethod {
  const flat = name === "tokens";
  const chosen = name === "auto" ? autoMethod[kind] : name;
  if (chosen === "markdown") return { lines: new MarkdownLines(), flat, keepsIndent: true };
  if (chosen === "code") {
    return { lines: kind === "jsonl" ? new RecordLines() : new CodeLines(), flat, keepsIndent: true };
  }
  if (chosen === "recursive" || chosen === "tokens") {
    return { lines: new PlainLines(), flat, keepsIndent: false };
  }
  throw invalid("method", "one of auto, recursive, markdown, code, tokens", chosen);
}

const autoMethod: Readonly<Record<DocumentKind, SplitMethodName>> = {
  text: "recursive",
  pdf: "recursive",
  markdown: "markdown",
  html: "markdown",
  docx: "markdown",
  code: "code",
  json: "code",
  jsonl: "code",
};

function checkedLimits(options: SplitOptions): SplitLimits {
  const { counter, chunkTokens = 512, overlapTokens = 50 } = options;
  if (!(Number.isInteger(chunkTokens) && chunkTokens >= 1))
    throw invalid("chunkTokens", "a whole number from 1", chunkTokens);
  if (!(Number.isInteger(overlapTokens) && overlapTokens >= 0 && overlapTokens < chunkTokens)) {
    throw invalid(
      "overlapTokens",
      `a whole number from 0 and below chunkTokens (${chunkTokens})`,
      overlapTokens,
    );
  }
  const minChunkTokens = options.minChunkTokens ?? Math.floor(chunkTokens / 8);
  if (!(Number.isInteger(minChunkTokens) && minChunkTokens >= 0 && minChunkTokens <= chunkTokens)) {
    throw invalid("minChunkTokens", `a whole number from 0 to chunkTokens (${chunkTokens})`, minChunkTokens);
  }
  return { counter, chunkTokens, overlapTokens, minChunkTokens };
}

function invalid(name: string, expected: string, value: unknown): StrataError {
  return new StrataError("INVALID_ARGUMENT", `Expected ${name} to be ${expected}; got ${String(value)}.`);
}

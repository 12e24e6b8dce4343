/** A stored chunk, as far as it is checked. */
export interface CheckedChunk {
  readonly content: string;
  readonly chunk: number;
  readonly start: number;
  readonly end: number;
}

/** How often each promise on chunks was broken. */
export interface Violations {
  /** The chunk is not `text.slice(start, end)`. */
  readonly offsets: number;
  /** More tokens than allowed, or none. */
  readonly limit: number;
  /** Anything but white space stands in no chunk, by gap. */
  readonly lost: number;
  /** A chunk begins or ends inside a code point. */
  readonly cut: number;
  /** Chunks are not numbered from 0 in the order of the text. */
  readonly order: number;
}

/**
 * Checks the chunks of one document against its text.
 * @param chunks In any order.
 */
export function chunkViolations(
  text: string,
  chunks: readonly CheckedChunk[],
  tokens: { readonly limit: number; count(text: string): number },
): Violations {
  const found = { offsets: 0, limit: 0, lost: 0, cut: 0, order: 0 };
  let reached = 0;
  let previousStart = -1;
  for (const [index, chunk] of chunks.toSorted((a, b) => a.chunk - b.chunk).entries()) {
    const count = tokens.count(chunk.content);
    if (text.slice(chunk.start, chunk.end) !== chunk.content) found.offsets += 1;
    if (!(count >= 1 && count <= tokens.limit)) found.limit += 1;
    if (text.slice(reached, chunk.start).trim() !== "") found.lost += 1;
    if (insideCodePoint(text, chunk.start) || insideCodePoint(text, chunk.end)) found.cut += 1;
    if (chunk.chunk !== index || !(chunk.start > previousStart)) found.order += 1;
    reached = Math.max(reached, chunk.end);
    previousStart = chunk.start;
  }
  if (text.slice(reached).trim() !== "") found.lost += 1;
  return found;
}

function insideCodePoint(text: string, index: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(index - 1, index + 1));
}

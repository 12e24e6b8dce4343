/** Counts tokens as some model does. */
export interface TokenCounter {
  readonly id: string;
  count(text: string): number;
}

/** A piece of a document's text: `text.slice(start, end)`, in UTF-16 units. */
export interface Chunk {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
  /** Headings above it, outermost first. */
  readonly headings: readonly string[];
}

/**
 * Plain BM25, the baseline that retrieval has to beat: no context, no vectors, no bonuses. Apart from the product on
 * purpose, tokenizer included, so that a change of the product never moves it.
 */

const k1 = 0.9;
const b = 0.4;

/** English words too common to tell texts apart. */
const stopWords = new Set(
  (
    "a about am an and any are as at be been but by can could did do does for from had has have he her him his how " +
    "i if in into is it its me my no not of on or our she so some such than that the their them then there these " +
    "they this those to was we were what when where which who whom whose why will with would you your"
  ).split(" "),
);

/** Words of a text: lower-cased, stop words out, plural endings off. */
export function plainTerms(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((word) => !stopWords.has(word)).map(withoutPlural);
}

/** Harman's S stemmer ("How effective is suffixing?", JASIS 1991). */
function withoutPlural(word: string): string {
  if (/(?<![ea])ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (/(?<![aeo])es$/.test(word)) return word.slice(0, -1);
  if (/(?<![us])s$/.test(word)) return word.slice(0, -1);
  return word;
}

/** An index over texts by id; scores as in Robertson and Zaragoza, 2009, with idf = ln(1 + (n − f + .5)/(f + .5)). */
export class PlainBm25 {
  readonly #ids: string[] = [];
  readonly #lengths: number[] = [];
  readonly #postings = new Map<string, { readonly text: number; readonly count: number }[]>();
  readonly #meanLength: number;

  constructor(texts: Iterable<readonly [id: string, text: string]>) {
    for (const [id, text] of texts) this.#add(id, plainTerms(text));
    this.#meanLength = this.#lengths.reduce((sum, length) => sum + length, 0) / this.#lengths.length;
  }

  #add(id: string, terms: readonly string[]): void {
    const counts = new Map<string, number>();
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
    for (const [term, count] of counts) {
      const postings = this.#postings.get(term) ?? [];
      this.#postings.set(term, postings);
      postings.push({ text: this.#ids.length, count });
    }
    this.#ids.push(id);
    this.#lengths.push(terms.length);
  }

  /** Ids of the best texts, best first, each once; of equals the earlier one first. */
  search(question: string, limit: number): string[] {
    const scores = new Map<number, number>();
    for (const term of new Set(plainTerms(question))) {
      const postings = this.#postings.get(term) ?? [];
      const idf = Math.log(1 + (this.#ids.length - postings.length + 0.5) / (postings.length + 0.5));
      for (const { text, count } of postings) {
        const length = 1 - b + (b * this.#lengths[text]!) / this.#meanLength;
        scores.set(text, (scores.get(text) ?? 0) + (idf * count * (k1 + 1)) / (count + k1 * length));
      }
    }
    const best = [...scores].toSorted(([x, scoreX], [y, scoreY]) => scoreY - scoreX || x - y);
    return best.slice(0, limit).map(([text]) => this.#ids[text]!);
  }
}

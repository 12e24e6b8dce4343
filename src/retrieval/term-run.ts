/** Terms next to each other, looked for by Knuth, Morris and Pratt's method: each term of a text is looked at once or twice. */
export class TermRun {
  readonly #terms: readonly string[];
  /** For each beginning of the run, the length of the longest shorter beginning that it ends in. */
  readonly #borders: Int32Array;

  constructor(terms: readonly string[]) {
    this.#terms = terms;
    this.#borders = new Int32Array(terms.length);
    for (let at = 1, length = 0; at < terms.length; at++) {
      length = this.#extend(length, terms[at]!);
      this.#borders[at] = length;
    }
  }

  isIn(text: readonly string[]): boolean {
    let length = 0;
    for (const term of text) {
      length = this.#extend(length, term);
      if (length === this.#terms.length) return true;
    }
    return false;
  }

  /** Length of the longest beginning of the run that what was read and `term` end in. */
  #extend(length: number, term: string): number {
    let kept = length;
    while (kept > 0 && this.#terms[kept] !== term) kept = this.#borders[kept - 1]!;
    return this.#terms[kept] === term ? kept + 1 : 0;
  }
}

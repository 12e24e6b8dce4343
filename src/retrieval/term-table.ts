import { maxTokens } from "./ascii-tokens.ts";

/** Terms by their numbers, which hold as long as the generation is the same. */
export interface TermNumbers {
  readonly generation: number;
  term(number: number): string;
  /** -1 when the term has none. */
  numberOf(term: string): number;
}

/** The terms of a text, in order, by number. Good until the next text is read. */
export interface TermReading extends TermNumbers {
  /** Of each term, twice its number, and 1 more for a stop word. Only the first `size` of them. */
  readonly codes: Int32Array;
  readonly size: number;
}

/** Marks the term of a stop word; no other term holds a space. */
export const stopMark = " ";
const maxTerms = 2 * maxTokens;
/** Terms of a text for which room is kept from one to the next. */
const maxKeptCodes = 65_536;

/** Numbers for the terms of the tokens seen lately, and the terms of the text that is being read. */
export class TermTable implements TermReading {
  generation = 0;
  codes: Int32Array = new Int32Array(1_024);
  size = 0;
  #terms: string[] = [];
  #numbers = new Map<string, number>();
  /** Codes of tokens that have several, or none. */
  #lists: Int32Array[] = [];

  /** True when it is time for a new generation. */
  get full(): boolean {
    return this.#terms.length >= maxTerms;
  }

  /** Forgets all numbers. */
  renew(): void {
    this.generation++;
    this.#terms = [];
    this.#numbers = new Map();
    this.#lists = [];
  }

  term(number: number): string {
    return this.#terms[number]!;
  }

  numberOf(term: string): number {
    return this.#numbers.get(term) ?? -1;
  }

  /** Begins a text. */
  begin(): void {
    this.size = 0;
    if (this.codes.length > maxKeptCodes) this.codes = new Int32Array(1_024);
  }

  /** Adds to the text what {@link codeOf} gave for a token. */
  push(code: number): void {
    if (code < 0) for (const one of this.#lists[~code]!) this.#append(one);
    else this.#append(code);
  }

  add(term: string, stop: boolean): void {
    this.#append(this.#codeOf(term, stop));
  }

  /** One number for the terms of a token, in this generation. */
  codeOf(terms: readonly { readonly term: string; readonly stop: boolean }[]): number {
    if (terms.length === 1) return this.#codeOf(terms[0]!.term, terms[0]!.stop);
    return ~(this.#lists.push(Int32Array.from(terms, ({ term, stop }) => this.#codeOf(term, stop))) - 1);
  }

  #codeOf(term: string, stop: boolean): number {
    const marked = stop ? stopMark + term : term;
    let number = this.#numbers.get(marked);
    if (number === undefined) {
      number = this.#terms.push(marked) - 1;
      this.#numbers.set(marked, number);
    }
    return number * 2 + (stop ? 1 : 0);
  }

  #append(code: number): void {
    if (this.size === this.codes.length) {
      const larger = new Int32Array(this.size * 2);
      larger.set(this.codes);
      this.codes = larger;
    }
    this.codes[this.size++] = code;
  }
}

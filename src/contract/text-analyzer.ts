/** Port of the one tokenizer of all keyword search. */
export interface TextAnalyzer {
  /** Changes whenever the same text may give other terms; what was derived with another version is derived again. */
  readonly version: string;
  /** Terms of a text in order, finished: lower-cased, stemmed, stop words gone. No term holds white space. */
  terms(text: string): string[];
}

import { breakStrength } from "./break-strength.ts";
import { isBlank, type LineClassifier, type LineMark, type LineView, noHeadings } from "./line-classifier.ts";

/** Running text: paragraphs between blank lines. */
export class PlainLines implements LineClassifier {
  #blankBefore = false;

  next(line: LineView): LineMark {
    const before = this.#blankBefore ? breakStrength.paragraph : breakStrength.line;
    this.#blankBefore = line.complete && isBlank(line.text, line.start, line.end);
    return { before, prose: true, headings: noHeadings };
  }
}

/** Text of records, one a line: JSON Lines. */
export class RecordLines implements LineClassifier {
  next(): LineMark {
    return { before: breakStrength.paragraph, prose: false, headings: noHeadings };
  }
}

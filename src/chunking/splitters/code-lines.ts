import { breakStrength } from "./break-strength.ts";
import { isBlank, type LineClassifier, type LineMark, type LineView, noHeadings } from "./line-classifier.ts";

const declaration =
  /^(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)]*\))?|unsafe|extern|open|override|virtual|inline|const|local)\s+)*(?:function|class|interface|type|enum|struct|trait|impl|fn|func|fun|def|defp|defmodule|module|mod|namespace|object|record|union|macro_rules!|sub|proc|describe|it|test|const|let|var|create|select|insert|resource)\b/i;
const leadsToNext = /^(?:\/\/|#(?!include|define|if|end)|--|\/\*|\*|@\w|"""|'''|;;|%)/;
const closes = /^(?:[)\]}]|end\b|<\/|else\b|elif\b|except\b|catch\b|finally\b)/;

/**
 * Source code and data, told by indentation and first words, without a parser: best before blocks that start at the
 * margin after a blank line, worst between a comment or decorator and what it describes.
 */
export class CodeLines implements LineClassifier {
  #blankBefore = false;
  #leadBefore = false;
  #indentBefore = 0;

  next(line: LineView): LineMark {
    if (line.complete && isBlank(line.text, line.start, line.end)) {
      this.#blankBefore = true;
      return mark(breakStrength.word);
    }
    const { indent, at } = indentation(line);
    const words = line.text.slice(at, Math.min(line.end, at + 80));
    const before = this.#strengthBefore(words, indent);
    this.#leadBefore = leadsToNext.test(words);
    this.#blankBefore = false;
    this.#indentBefore = indent;
    return mark(before);
  }

  #strengthBefore(words: string, indent: number): number {
    const depth = indent === 0 ? 0 : indent <= 4 ? 1 : indent <= 8 ? 2 : 3;
    if (closes.test(words)) return breakStrength.word;
    if (this.#leadBefore) return this.#blankBefore ? breakStrength.line : breakStrength.word;
    if (this.#blankBefore) return breakStrength.block - depth;
    if (indent <= this.#indentBefore && declaration.test(words)) return breakStrength.block - 1 - depth;
    if (indent < this.#indentBefore) return breakStrength.sentenceLine;
    return depth < 2 ? breakStrength.sentence : breakStrength.line;
  }
}

function mark(before: number): LineMark {
  return { before, prose: false, headings: noHeadings };
}

/** Width of the leading white space, a tab being four, and where the text starts. */
function indentation(line: LineView): { indent: number; at: number } {
  let indent = 0;
  let at = line.start;
  for (; at < line.end; at += 1) {
    const unit = line.text.charCodeAt(at);
    if (unit === 32) indent += 1;
    else if (unit === 9) indent += 4;
    else break;
  }
  return { indent, at };
}

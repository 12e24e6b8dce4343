/**
 * How well a text breaks at a place, weakest first. A splitter takes the strongest break that lies near the limit;
 * values between the named ones rank blocks of code and levels of headings.
 */
export const breakStrength = {
  /** Between two user-perceived characters, inside a word. */
  grapheme: 0,
  word: 1,
  clause: 2,
  /** End of a line whose text goes on. */
  line: 3,
  sentence: 4,
  /** End of a line and of a sentence: a paragraph of text that is not wrapped. */
  sentenceLine: 5,
  paragraph: 6,
  /** Before a block of code that starts at the margin; each step of indentation takes one off. */
  block: 9,
  /** Before a heading of level 6; each level above adds one. */
  section: 10,
} as const;

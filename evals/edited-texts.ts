/** A text and what one edit makes of it. */
export interface EditedPair {
  readonly s1: string;
  readonly s2: string;
}

/** Undefined where the text has no place for the edit. `pick` takes one of a list, the same for the same text. */
type Edit = (text: string, pick: (words: readonly string[]) => string) => string | undefined;

const names = ["Ada", "Ben", "Berlin", "Canada", "Google", "Priya", "Samsung", "Toyota"];
const words = ["doctor", "kitchen", "green", "river", "teacher", "winter", "quickly", "coffee"];
const opposites: Readonly<Record<string, string>> = {
  ...inBothWays("before", "after"),
  ...inBothWays("more", "less"),
  ...inBothWays("from", "to"),
  ...inBothWays("with", "without"),
  ...inBothWays("best", "worst"),
  ...inBothWays("increase", "decrease"),
  ...inBothWays("my", "your"),
  ...inBothWays("is", "was"),
  ...inBothWays("all", "some"),
};
const oppositeWords = new RegExp(`\\b(?:${Object.keys(opposites).join("|")})\\b`);

/** Each makes another statement of almost the same words; to leave out "please" would not. */
export const meaningEdits: Readonly<Record<string, Edit>> = {
  number: (text) => replaced(text, /\d+/, (digits) => String(Number(digits) + 1)),
  day: (text) =>
    replaced(text, /\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|\b\d\d?th\b/, (day) =>
      day === "Monday" || day === "3rd" ? "Friday" : day.endsWith("day") ? "Monday" : "3rd",
    ),
  negation: (text) =>
    replaced(
      text,
      /\b(?:is|are|was|were|do|does|did|can|could|should|will|would|have|has)\b(?! not|n['’]t)/i,
      (verb) => `${verb} not`,
    ),
  name: (text, pick) => replaced(text, /(?<=[a-z,] )[A-Z][a-z]{2,}\b/, () => pick(names)),
  word: (text, pick) => replaced(text, /(?<= )[a-z]{5,}\b/, () => pick(words)),
  added: (text, pick) => replaced(text, /(?<= )[a-z]{5,}\b/, (word) => `${pick(words)} ${word}`),
  left: (text) => replaced(text, / (?!please)[a-z]{5,}\b/, () => ""),
  order: (text) =>
    replaced(text, /\b[A-Za-z]{4,} (?:to|from|and|than|with|by|for|in|of) [A-Za-z]{4,}\b/, (all) =>
      all.split(" ").reverse().join(" "),
    ),
  opposite: (text) => replaced(text, oppositeWords, (word) => opposites[word]!),
};

/** Each writes the same statement in another form. */
export const formEdits: Readonly<Record<string, Edit>> = {
  case: (text) => text.charAt(0).toLowerCase() + text.slice(1),
  mark: (text) => text.replace(/[.!]$/, ""),
  comma: (text) => text.replaceAll(/, /g, " "),
  spaces: (text) => text.replaceAll(" ", "  "),
  article: (text) => replaced(text, /(?<=[a-z] )(?:the|an?) (?=[a-z])/, () => ""),
  contraction: (text) =>
    replaced(text, /\b(?:do|does|did|is|are|was|were|have|has) not\b/i, (verb) =>
      verb.replace(/ not/i, "n't"),
    ),
  quotes: (text) => text.replaceAll("'", "’"),
  please: (text) => `Please, ${text.charAt(0).toLowerCase()}${text.slice(1)}`,
};

/** What one edit makes of each of the texts that it changes. */
export function editedPairs(texts: readonly string[], edit: Edit): EditedPair[] {
  return texts.flatMap((text, at) => {
    const edited = edit(text, (list) => list[at % list.length]!);
    return edited === undefined || edited === text ? [] : [{ s1: text, s2: edited }];
  });
}

function replaced(text: string, what: RegExp, by: (found: string) => string): string {
  return text.replace(what, by);
}

function inBothWays(one: string, other: string): Record<string, string> {
  return { [one]: other, [other]: one };
}

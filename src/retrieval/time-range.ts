import { dayMs } from "../contract/relevance.ts";

/** When something happened: from, up to but not including; milliseconds since 1970, days being those of UTC. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** A time that a question names, with the words that name it. */
export interface NamedTime extends TimeRange {
  readonly words: string;
}

const monthNames = "january|february|march|april|may|june|july|august|september|october|november|december";
const monthWord = `(${monthNames}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\\.?`;
const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const count = `(\\d{1,3}|an?|${numbers.join("|")}|a few|a couple(?: of)?)`;
const unit = "(day|week|month|year)s?";
const year = "((?:19|20)\\d\\d)";
const dayNumber = "(\\d{1,2})(?:st|nd|rd|th)?";
/** Characters of the question's text that are read; a pasted page holds many dates and asks for none of them. */
const maxLength = 1_000;

/** What a pattern's groups mean; undefined when they name no time ("31 June 2023" is taken for its month). */
type Reader = (groups: readonly string[], now: number) => TimeRange | undefined;

/** Longer expressions first: what one of them has read is not read again. */
const expressions: readonly (readonly [pattern: string, read: Reader])[] = [
  ["(\\d{4})-(\\d{2})-(\\d{2})", ([y, m, d]) => dayOf(Number(y), Number(m) - 1, Number(d))],
  [`${dayNumber} (?:of )?${monthWord},? ${year}`, ([d, m, y]) => dayOf(Number(y), monthOf(m!), Number(d))],
  [`${monthWord} ${dayNumber},? ${year}`, ([m, d, y]) => dayOf(Number(y), monthOf(m!), Number(d))],
  [`${monthWord},? (?:of )?${year}`, ([m, y]) => monthRange(Number(y), monthOf(m!))],
  [`${dayNumber} (?:of )?${monthWord}(?! ?\\d)`, ([d, m], now) => latestDay(monthOf(m!), Number(d), now)],
  [`${monthWord} ${dayNumber}(?!\\d)`, ([m, d], now) => latestDay(monthOf(m!), Number(d), now)],
  ["(\\d{4})-(\\d{2})(?!\\d)", ([y, m]) => monthRange(Number(y), Number(m) - 1)],
  [`(?:past|last|previous) ${count} ${unit}`, ([n, u], now) => lastUnits(numberOf(n!), u!, now)],
  [`${count} ${unit} (?:ago|back|earlier)`, ([n, u], now) => unitAt(u!, -numberOf(n!), now)],
  ["(?:the )?day before yesterday", (_, now) => unitAt("day", -2, now)],
  ["(?:yesterday|last night)", (_, now) => unitAt("day", -1, now)],
  ["(?:today|tonight|this (?:morning|afternoon|evening))", (_, now) => unitAt("day", 0, now)],
  ["tomorrow", (_, now) => unitAt("day", 1, now)],
  ["(this|last|past|previous|next) (week|month|year)(?!end)", ([w, u], now) => unitAt(u!, stepOf(w!), now)],
  ["(this|last|past|previous|next) weekend", ([w], now) => weekend(stepOf(w!), now)],
  [`(?:on|last|past|this|since) (${weekdays.join("|")})`, ([d], now) => latestWeekday(d!, now)],
  [`(?:in|during|of|since|before|after|until|by|last|this|early|late|mid) ${monthWord}(?! ?\\d)`, month],
  [`(?:in|during|of|since|before|after|until|by|year) ${year}`, ([y]) => yearRange(Number(y))],
];

const grammar = expressions.map(([pattern, read]) => [new RegExp(`\\b${pattern}\\b`, "giu"), read] as const);
/** Without one of these there is no time in a text, which is soon told. */
const hint =
  /\d{4}|\b(?:week|month|year|day|ago|yester|today|tonight|tomorrow|night|this |sun|mon|tues|wednes|thurs|fri|satur|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|(?:week|day)/iu;

/**
 * The time that a question names in English ("last week", "in May 2023", "since Monday", "two months ago"), UTC;
 * several together make one range. Undefined when it names none.
 * @param now What "last week" is told from, milliseconds since 1970.
 */
export function readTimeRange(question: string, now: number): NamedTime | undefined {
  let text = question.slice(0, maxLength);
  if (!hint.test(text)) return undefined;
  const words: { readonly at: number; readonly said: string }[] = [];
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [pattern, read] of grammar) {
    text = text.replace(pattern, (said, ...rest) => {
      const at = rest.find((value) => typeof value === "number") as number;
      const range = read(rest.slice(0, rest.indexOf(at)) as string[], now);
      if (!range) return said;
      const { before, open } = opened(text.slice(0, at), said, range);
      from = Math.min(from, open.from);
      to = Math.max(to, open.to);
      words.push({ at: at - before.length, said: before + said });
      return " ".repeat(said.length);
    });
  }
  if (words.length === 0) return undefined;
  words.sort((a, b) => a.at - b.at);
  return { from, to, words: words.map(({ said }) => said).join(", ") };
}

/** A range that "since", "after", "before" or "until" leaves open to one side. */
function opened(
  text: string,
  said: string,
  range: TimeRange,
): { readonly before: string; readonly open: TimeRange } {
  const outside = /(?<![\p{L}\p{N}])(?:since|after|before|until)\s+$/iu.exec(text)?.[0] ?? "";
  const inside = /^(?:since|after|before|until)\b/iu.exec(said)?.[0] ?? "";
  const word = (outside || inside).trim().toLowerCase();
  const [least, most] = [-8.64e15, 8.64e15];
  if (word === "since") return { before: outside, open: { from: range.from, to: most } };
  if (word === "after") return { before: outside, open: { from: range.to, to: most } };
  if (word === "before") return { before: outside, open: { from: least, to: range.from } };
  if (word === "until") return { before: outside, open: { from: least, to: range.to } };
  return { before: "", open: range };
}

function month([name]: readonly string[], now: number): TimeRange | undefined {
  const date = new Date(now);
  const number = monthOf(name!);
  return monthRange(date.getUTCFullYear() - (number > date.getUTCMonth() ? 1 : 0), number);
}

function monthOf(name: string): number {
  return monthNames.split("|").findIndex((whole) => whole.startsWith(name.toLowerCase().slice(0, 3)));
}

function numberOf(text: string): number {
  const word = text.toLowerCase();
  if (/^\d/.test(word)) return Number(word);
  if (word.startsWith("a couple")) return 2;
  if (word === "a few") return 3;
  return Math.max(1, numbers.indexOf(word) + 1);
}

function stepOf(word: string): number {
  const lower = word.toLowerCase();
  return lower === "this" ? 0 : lower === "next" ? 1 : -1;
}

function startOfDay(time: number): number {
  return Math.floor(time / dayMs) * dayMs;
}

function dayOf(year: number, month: number, day: number): TimeRange | undefined {
  const from = Date.UTC(year, month, day);
  const date = new Date(from);
  return date.getUTCMonth() === month && date.getUTCDate() === day ? { from, to: from + dayMs } : undefined;
}

/** A day of the calendar as it was last. */
function latestDay(month: number, day: number, now: number): TimeRange | undefined {
  const year = new Date(now).getUTCFullYear();
  const range = dayOf(year, month, day);
  return range && range.from <= now ? range : dayOf(year - 1, month, day);
}

function monthRange(year: number, month: number): TimeRange | undefined {
  if (!(month >= 0 && month < 12)) return undefined;
  return { from: Date.UTC(year, month), to: Date.UTC(year, month + 1) };
}

function yearRange(year: number): TimeRange {
  return { from: Date.UTC(year, 0), to: Date.UTC(year + 1, 0) };
}

/** The day, week (from Monday), month or year that is so many away from the present one. */
function unitAt(name: string, step: number, now: number): TimeRange | undefined {
  const date = new Date(now);
  const [thisYear, thisMonth] = [date.getUTCFullYear(), date.getUTCMonth()];
  const today = startOfDay(now);
  switch (name.toLowerCase()) {
    case "day":
      return { from: today + step * dayMs, to: today + (step + 1) * dayMs };
    case "week": {
      const monday = today - ((date.getUTCDay() + 6) % 7) * dayMs + step * 7 * dayMs;
      return { from: monday, to: monday + 7 * dayMs };
    }
    case "month":
      return { from: Date.UTC(thisYear, thisMonth + step), to: Date.UTC(thisYear, thisMonth + step + 1) };
    default:
      return yearRange(thisYear + step);
  }
}

/** "The last three weeks": up to and with today. */
function lastUnits(number: number, name: string, now: number): TimeRange {
  const to = startOfDay(now) + dayMs;
  const date = new Date(to);
  const lower = name.toLowerCase();
  if (lower === "month") date.setUTCMonth(date.getUTCMonth() - number);
  else if (lower === "year") date.setUTCFullYear(date.getUTCFullYear() - number);
  else date.setUTCDate(date.getUTCDate() - number * (lower === "week" ? 7 : 1));
  return { from: date.getTime(), to };
}

function weekend(step: number, now: number): TimeRange {
  const monday = unitAt("week", step, now)!.from;
  return { from: monday + 5 * dayMs, to: monday + 7 * dayMs };
}

/** The last such day before today. */
function latestWeekday(name: string, now: number): TimeRange {
  const back = (new Date(now).getUTCDay() - weekdays.indexOf(name.toLowerCase()) + 7) % 7 || 7;
  const from = startOfDay(now) - back * dayMs;
  return { from, to: from + dayMs };
}

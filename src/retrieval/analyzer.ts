import { stemmer } from "stemmer";
import { AsciiTokens, hashOf, maxTokenLength, maxTokens } from "./ascii-tokens.ts";
import { stopWords } from "./stop-words.ts";
import { type TermReading, TermTable } from "./term-table.ts";

/** The one tokenizer of all keyword search. */
export interface Analyzer {
  /** Changes whenever the same text may give other terms; what was derived with another version is derived again. */
  readonly version: string;
  /** Terms of a text in order, stop words left out. */
  terms(text: string): string[];
  /**
   * Calls `visit` for each term of a text in order, stop words included, with where it stands in UTF-16 units. A term
   * is lower-cased and stemmed and holds no white space.
   */
  visit(text: string, visit: (term: string, stop: boolean, start: number, end: number) => void): void;
  /** The same terms in the same order, by number: some times as fast. Good until the next call. */
  read(text: string): TermReading;
}

interface Piece {
  readonly term: string;
  readonly stop: boolean;
  /** Units from the start of the raw token. */
  readonly start: number;
  readonly end: number;
}

/** Longer runs (base64, hashes of hashes) are known by their beginning. */
const maxTermLength = 64;
/** A text longer than this is given memory of its own while it is read. */
const maxKeptText = 65_536;
/** Bytes behind a text that part tokens: so far ahead is looked. */
const textEnd = 3;

/** Words, and words joined as identifiers, versions, paths and contractions are. */
const tokenPattern = /[\p{L}\p{M}\p{N}]+(?:(?:[._:\-@'’]|::|__)[\p{L}\p{M}\p{N}]+)*/gu;
const wordPattern = /[\p{L}\p{M}\p{N}]+/gu;
/** The same for ASCII: the engine makes them in a tenth of the time, and they run faster. */
const asciiWordPattern = /[A-Za-z0-9]+/g;
const asciiHumps = /(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
/** Scripts that put no spaces between words, in runs. */
const unspaced =
  /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}ー々]+|[^\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}ー々]+/gu;
const unspacedStart = /^[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}ー々]/u;
/** Where a lower-case letter meets a capital, an acronym a word, letters digits. */
const humps = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;
const plainWord = /^[a-z]+$/;
const openingWord = /^[A-Z][a-z]+$/;
const ascii = /^[\0-\x7f]*$/;
const accents = /[\u0300-\u036f]/g;
const contraction = /^(?:s|t|re|ve|ll|d|m)$/i;
const colon = 0x3a;
const underscore = 0x5f;

/**
 * The one tokenizer of all keyword search: Unicode words, lower-cased, without accents, stemmed where they are
 * English (Porter 1980); one- and two-character terms where a script has no spaces; identifiers whole, then split.
 */
export function createAnalyzer(): Analyzer {
  const tokens = new Tokens();
  return {
    version: "1",
    visit: (text, callback) => tokens.visit(text, callback),
    read: (text) => tokens.read(text),
    terms(text) {
      const reading = tokens.read(text);
      const terms: string[] = [];
      for (let at = 0; at < reading.size; at++) {
        const code = reading.codes[at]!;
        if ((code & 1) === 0) terms.push(reading.term(code >> 1));
      }
      return terms;
    },
  };
}

/** By character code: 1 a letter or digit, 2 what joins two of them, 0 what parts them. */
const asciiClasses: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z0-9]/.test(character)) return 1;
  return "._:-@'".includes(character) ? 2 : 0;
});

/** Where the token that begins at `start` ends: as far as `tokenPattern` would take it, in a text of ASCII alone. */
function tokenEnd(bytes: Uint8Array, start: number): number {
  for (let at = start; ; ) {
    while (asciiClasses[bytes[at]!] === 1) at++;
    if (asciiClasses[bytes[at]!] !== 2) return at;
    if (asciiClasses[bytes[at + 1]!] === 1) at++;
    else {
      const twice = (bytes[at] === colon || bytes[at] === underscore) && bytes[at + 1] === bytes[at];
      if (!twice || asciiClasses[bytes[at + 2]!] !== 1) return at;
      at += 2;
    }
  }
}

/** Tokens with what they are split into. */
class SeenTokens {
  readonly ascii: AsciiTokens<readonly Piece[]> = new AsciiTokens<readonly Piece[]>();
  readonly others: Map<string, { readonly pieces: readonly Piece[]; readonly code: number }> = new Map();
}

/**
 * What each raw token is split into, remembered for the tokens seen lately, and numbers for their terms. Tokens of ASCII
 * are looked up where they stand in a text, without a string of their own.
 */
class Tokens {
  readonly #stops = new Set(stopWords);
  readonly #terms = new TermTable();
  #young = new SeenTokens();
  #old = new SeenTokens();
  #scratch: Buffer | undefined = Buffer.alloc(4_096);

  visit(text: string, callback: Parameters<Analyzer["visit"]>[1]): void {
    const tell = (found: readonly Piece[], at: number): void => {
      for (const piece of found) callback(piece.term, piece.stop, at + piece.start, at + piece.end);
    };
    this.#makeRoom();
    if (!ascii.test(text)) {
      for (const match of text.matchAll(tokenPattern)) tell(this.#of(match[0]).pieces, match.index);
      return;
    }
    const bytes = this.#bytesOf(text);
    // Whoever is called back may read another text.
    const kept = this.#scratch;
    this.#scratch = undefined;
    for (let at = 0; at < text.length; ) {
      if (asciiClasses[bytes[at]!] !== 1) {
        at++;
        continue;
      }
      const end = tokenEnd(bytes, at);
      const seen = this.#young.ascii;
      const token = this.#numberOf(text, bytes, at, end);
      tell(token < 0 ? this.#split(ownString(text.slice(at, end))) : seen.value(token), at);
      at = end;
    }
    this.#scratch = kept;
  }

  read(text: string): TermReading {
    this.#makeRoom();
    const terms = this.#terms;
    terms.begin();
    if (text === "") return terms;
    if (!ascii.test(text)) {
      for (const match of text.matchAll(tokenPattern)) terms.push(this.#of(match[0]).code);
      return terms;
    }
    const bytes = this.#bytesOf(text);
    const seen = this.#young.ascii;
    for (let at = 0; at < text.length; ) {
      if (asciiClasses[bytes[at]!] !== 1) {
        at++;
        continue;
      }
      const end = tokenEnd(bytes, at);
      const token = this.#numberOf(text, bytes, at, end);
      if (token >= 0) terms.push(seen.code(token));
      else for (const { term, stop } of this.#split(ownString(text.slice(at, end)))) terms.add(term, stop);
      at = end;
    }
    return terms;
  }

  /** Between two texts: within one, numbers stay what they are. */
  #makeRoom(): void {
    const { ascii: seen, others } = this.#young;
    if (!seen.full && others.size < maxTokens && !this.#terms.full) return;
    this.#old = this.#young;
    this.#young = new SeenTokens();
    this.#terms.renew();
  }

  /** A text of ASCII as bytes, in memory that is kept from one text to the next. */
  #bytesOf(text: string): Uint8Array {
    const { length } = text;
    const needed = length + textEnd;
    const kept = this.#scratch;
    const bytes = kept && kept.length >= needed ? kept : Buffer.alloc(needed * 2);
    bytes.write(text, "latin1");
    for (let at = length; at < needed; at++) bytes[at] = 0;
    if (needed <= maxKeptText) this.#scratch = bytes;
    return bytes;
  }

  #of(token: string): { readonly pieces: readonly Piece[]; readonly code: number } {
    const known = this.#young.others.get(token);
    if (known) return known;
    const own = ownString(token);
    const pieces = this.#old.others.get(token)?.pieces ?? this.#split(own);
    const found = { pieces, code: this.#terms.codeOf(pieces) };
    if (token.length <= maxTokenLength && this.#young.others.size < maxTokens) {
      this.#young.others.set(own, found);
    }
    return found;
  }

  /** Number of the token from `start` to `end` of a text, and of its bytes, among the young; -1 when there is no room. */
  #numberOf(text: string, bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    const seen = this.#young.ascii;
    const known = seen.find(bytes, start, end, hash);
    if (known >= 0 || end - start > maxTokenLength || seen.full) return known;
    const old = this.#old.ascii;
    const former = old.find(bytes, start, end, hash);
    const pieces = former >= 0 ? old.value(former) : this.#split(ownString(text.slice(start, end)));
    return seen.add(bytes, start, end, hash, pieces, this.#terms.codeOf(pieces));
  }

  #split(token: string): readonly Piece[] {
    // An accent that stands alone folds to nothing.
    return this.#parts(token).filter(({ term }) => term !== "");
  }

  #parts(token: string): readonly Piece[] {
    if (plainWord.test(token)) return [this.#word(token, token, 0, token.length)];
    if (openingWord.test(token)) return [this.#word(token, token.toLowerCase(), 0, token.length)];
    const parts = [...token.matchAll(ascii.test(token) ? asciiWordPattern : wordPattern)];
    let end = token.length;
    const last = parts.at(-1)!;
    if (parts.length > 1 && /['’]/.test(token[last.index - 1]!) && contraction.test(last[0])) {
      // "Ada's" is Ada; "isn't" says as little as "is".
      if (/n['’]t$/i.test(token))
        return [{ term: fold(token.replace(/['’]/g, "")), stop: true, start: 0, end }];
      parts.pop();
      end = last.index - 1;
    }
    const pieces: Piece[] = [];
    if (parts.length > 1) pieces.push({ term: cut(fold(token.slice(0, end))), stop: false, start: 0, end });
    for (const part of parts) this.#part(part[0], part.index, pieces);
    return pieces;
  }

  /** A run of letters and digits. */
  #part(part: string, start: number, pieces: Piece[]): void {
    if (!ascii.test(part)) {
      for (const run of part.matchAll(unspaced)) {
        if (unspacedStart.test(run[0])) pushBigrams(run[0], start + run.index, pieces);
        else this.#spaced(run[0], start + run.index, pieces);
      }
    } else this.#spaced(part, start, pieces);
  }

  #spaced(word: string, start: number, pieces: Piece[]): void {
    pieces.push(this.#word(word, fold(word), start, start + word.length));
    const parts = word.split(ascii.test(word) ? asciiHumps : humps);
    if (parts.length < 2) return;
    let at = start;
    for (const part of parts) {
      pieces.push(this.#word(part, fold(part), at, at + part.length));
      at += part.length;
    }
  }

  #word(raw: string, folded: string, start: number, end: number): Piece {
    // "IT", "US", "WHO" are names, "it" is not.
    const acronym = raw.length > 1 && raw.length < 4 && raw === raw.toUpperCase();
    if (!acronym && this.#stops.has(folded)) return { term: folded, stop: true, start, end };
    const english = folded.length > 2 && plainWord.test(folded);
    return { term: cut(english ? stemmer(folded) : folded), stop: false, start, end };
  }
}

/** A copy of its own: the engine may have made a token a window that keeps its whole text alive. */
function ownString(token: string): string {
  return token.length > 12 ? Buffer.from(token, "utf16le").toString("utf16le") : token;
}

function fold(word: string): string {
  if (ascii.test(word)) return word.toLowerCase();
  return word
    .toLowerCase()
    .normalize("NFKD")
    .replace(accents, "")
    .normalize("NFC")
    .toLowerCase()
    .replace(/\s/gu, "");
}

function cut(term: string): string {
  if (term.length <= maxTermLength) return term;
  const last = term.charCodeAt(maxTermLength - 1);
  return term.slice(0, last >= 0xd800 && last < 0xdc00 ? maxTermLength - 1 : maxTermLength);
}

/** Each character and each two neighbours, interleaved, so that a phrase of characters stays a run of terms. */
function pushBigrams(run: string, start: number, pieces: Piece[]): void {
  let at = start;
  let former: string | undefined;
  for (const character of run) {
    const term = fold(character);
    if (former !== undefined) {
      pieces.push({
        term: former + term,
        stop: false,
        start: at - former.length,
        end: at + character.length,
      });
    }
    pieces.push({ term, stop: false, start: at, end: at + character.length });
    former = term;
    at += character.length;
  }
}

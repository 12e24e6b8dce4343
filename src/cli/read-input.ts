import { StrataError } from "../contract/errors.ts";
import type { Io } from "./io.ts";
import type { Session } from "./session.ts";

/** Most bytes of a memory's text: one of the greatest length in characters of three bytes each, and some more. */
const maxTextBytes = 262_144;

/** Longest line of an export, in UTF-16 units: text, metadata and vector at their limits fit many times. */
const maxLineLength = 16_777_216;

/**
 * Standard input as one text, without a line feed at its end.
 * @throws TEXT_TOO_LARGE, INVALID_UTF8
 */
async function readStandardInput(stdin: Io["stdin"]): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of stdin) {
    pieces.push(piece);
    length += piece.length;
    if (length > maxTextBytes)
      throw new StrataError(
        "TEXT_TOO_LARGE",
        `Expected at most ${maxTextBytes} bytes on standard input for one memory; there are more.`,
      );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces)).replace(/\r?\n$/, "");
  } catch (cause) {
    throw new StrataError("INVALID_UTF8", "Expected standard input as UTF-8 text.", { cause });
  }
}

/** Words of a command line as one text, or standard input for "-" alone. */
export async function textOf(words: readonly string[], session: Session): Promise<string> {
  if (words.length !== 1 || words[0] !== "-") return words.join(" ");
  noteTerminal(session);
  return readStandardInput(session.io.stdin);
}

/** Tells a person at a terminal that the command waits for them. */
export function noteTerminal({ io, output }: Session): void {
  if (io.stdin.isTTY === true) output.note("Reading from the terminal; Ctrl-D ends the text.");
}

/** Lines of UTF-8 bytes, cut at line feeds and nowhere else. @throws INVALID_UTF8 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let rest = "";
  try {
    for await (const piece of bytes) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      if (rest.length > maxLineLength)
        throw new StrataError("FILE_UNREADABLE", `Expected lines of at most ${maxLineLength} characters.`);
      yield* lines;
    }
    rest += decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new StrataError("INVALID_UTF8", "Expected the lines as UTF-8 text.", { cause: error });
  }
  if (rest !== "") yield rest;
}

import { TextDecoder } from "node:util";
import { StrataError } from "../../contract/errors.ts";
import type { TextEncoding } from "../document-kind.ts";

/**
 * Decodes blocks of bytes as they come, strictly: a wrong sequence is an error, never a replacement character. A byte
 * order mark is left out of the text.
 */
export class StrictDecoder {
  readonly #decoder: TextDecoder;
  readonly #name: string;
  readonly #encoding: TextEncoding;
  #bytesBefore = 0;

  constructor(encoding: TextEncoding, name: string) {
    this.#decoder = new TextDecoder(encoding, { fatal: true });
    this.#encoding = encoding;
    this.#name = name;
  }

  /** @throws INVALID_UTF8 */
  decode(block: Uint8Array): string {
    const text = this.#attempt(() => this.#decoder.decode(block, { stream: true }));
    this.#bytesBefore += block.length;
    return text;
  }

  /** What is left at the end. @throws INVALID_UTF8 Where the last sequence is unfinished. */
  finish(): string {
    return this.#attempt(() => this.#decoder.decode());
  }

  #attempt(decode: () => string): string {
    try {
      return decode();
    } catch (cause) {
      const what = this.#encoding === "utf-8" ? "UTF-8" : "UTF-16";
      throw new StrataError(
        "INVALID_UTF8",
        `Expected valid ${what}; ${this.#name} has a wrong sequence at or after byte ${this.#bytesBefore}. Save it as UTF-8 and try again.`,
        { cause, details: { name: this.#name, byte: this.#bytesBefore } },
      );
    }
  }
}

/** Decodes a whole text. @throws INVALID_UTF8 */
export function decodeText(bytes: Uint8Array, encoding: TextEncoding, name: string): string {
  const decoder = new StrictDecoder(encoding, name);
  return decoder.decode(bytes) + decoder.finish();
}

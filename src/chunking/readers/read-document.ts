import { StrataError } from "../../contract/errors.ts";
import { type DocumentKind, sniffKind } from "../document-kind.ts";
import { markdownTitle } from "../splitters/markdown-lines.ts";
import { readDocx } from "./docx.ts";
import { decodeHtml, readHtml } from "./html.ts";
import { readPdf } from "./pdf.ts";
import { decodeText } from "./text-decoder.ts";

/** A document as text. Its chunks' offsets count in `text`. */
export interface ReadDocument {
  readonly kind: DocumentKind;
  /** From the format itself: a page's or file's title, Markdown's front matter or first heading of level 1. */
  readonly title?: string;
  readonly text: string;
  /** Of source code and data: "typescript", "yaml". */
  readonly language?: string;
}

export interface ReadOptions {
  /** What names the document; its suffix decides among kinds of text. */
  readonly name: string;
  /** Largest document read, in bytes. Default 50 MB. */
  readonly maxBytes?: number | undefined;
}

/** Largest document that is read as a whole, in bytes, unless told otherwise. */
export const defaultMaxBytes: number = 50 * 1024 * 1024;

/**
 * Turns the bytes of a document into text. Plain text, Markdown, code and JSON come out as they are (strict UTF-8, or
 * UTF-16 with a byte order mark); HTML and DOCX as Markdown-like text; PDF as its pages' text.
 * @throws FILE_BINARY, FILE_ENCRYPTED, FILE_TOO_LARGE, FILE_UNREADABLE, INVALID_UTF8, MISSING_PACKAGE
 */
export async function readDocument(bytes: Uint8Array, options: ReadOptions): Promise<ReadDocument> {
  const { name, maxBytes = defaultMaxBytes } = options;
  if (!(bytes.length <= maxBytes)) throw tooLarge(name, bytes.length, maxBytes);
  const { kind, language, encoding } = sniffKind(bytes, name);
  if (kind === "pdf") return { kind, ...(await readPdf(bytes, name)) };
  if (kind === "docx") return { kind, ...(await readDocx(bytes, name, maxBytes * 4)) };
  if (kind === "html") {
    const source = encoding === "utf-8" ? decodeHtml(bytes, name) : decodeText(bytes, encoding, name);
    return { kind, ...(await readHtml(source)) };
  }
  const text = decodeText(bytes, encoding, name);
  const title = kind === "markdown" ? markdownTitle(text) : undefined;
  return { kind, text, ...(title && { title }), ...(language && { language }) };
}

export function tooLarge(name: string, bytes: number, maxBytes: number): StrataError {
  return new StrataError(
    "FILE_TOO_LARGE",
    `Expected at most ${maxBytes} bytes; ${name} has ${bytes} or more. Raise maxBytes or split it.`,
    { details: { name, bytes, maxBytes } },
  );
}

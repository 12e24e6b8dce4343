import { StrataError } from "../../contract/errors.ts";
import { loadOptional } from "./optional-package.ts";

interface PdfText {
  readonly title?: string;
  /** Pages in order, a blank line between them. */
  readonly text: string;
}

/**
 * Text layer and title of a PDF.
 * @throws FILE_ENCRYPTED Where it opens only with a password. FILE_UNREADABLE Damaged, or scanned: no text at all.
 * @throws MISSING_PACKAGE
 */
export async function readPdf(bytes: Uint8Array, name: string): Promise<PdfText> {
  const pdf = await loadOptional("unpdf", "Reading PDF", () => import("unpdf"));
  // The parser takes its buffer over, so it gets its own; a Buffer's slice would share it.
  const document = await pdf
    .getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 })
    .catch((cause: unknown) => {
      throw pdfError(cause, name);
    });
  try {
    const { text: pages } = await pdf.extractText(document, { mergePages: false });
    const text = pages
      .map((page) => page.trim())
      .filter((page) => page !== "")
      .join("\n\n");
    if (text === "") {
      throw new StrataError(
        "FILE_UNREADABLE",
        `Expected a PDF with a text layer; ${name} has ${pages.length} pages without any text. Run character recognition over it first.`,
        { details: { name, pages: pages.length } },
      );
    }
    const { info } = await pdf.getMeta(document);
    const title = typeof info["Title"] === "string" ? info["Title"].trim() : "";
    return title === "" ? { text } : { title, text };
  } catch (cause) {
    throw pdfError(cause, name);
  } finally {
    await document.loadingTask.destroy();
  }
}

function pdfError(cause: unknown, name: string): unknown {
  if (StrataError.isInstance(cause)) return cause;
  if (cause instanceof Error && cause.name === "PasswordException") {
    return new StrataError(
      "FILE_ENCRYPTED",
      `${name} opens only with a password. Save it without one and try again.`,
      { details: { name } },
    );
  }
  return new StrataError("FILE_UNREADABLE", `${name} starts like a PDF but cannot be parsed as one.`, {
    cause,
    details: { name },
  });
}

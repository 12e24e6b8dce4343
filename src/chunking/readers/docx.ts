import { StrataError } from "../../contract/errors.ts";
import { type HtmlText, readHtml } from "./html.ts";
import { loadOptional } from "./optional-package.ts";
import { readZipEntry, type ZipEntry, zipEntries } from "./zip-directory.ts";

/**
 * Text of a DOCX file as Markdown-like text: headings, lists and tables kept, images dropped.
 * @throws FILE_ENCRYPTED, FILE_BINARY (another format in a ZIP or Office container), FILE_TOO_LARGE (unpacks to more
 * than `maxBytes`), FILE_UNREADABLE, MISSING_PACKAGE
 */
export async function readDocx(bytes: Uint8Array, name: string, maxBytes: number): Promise<HtmlText> {
  refuseOfficeContainer(bytes, name);
  const entries = zipEntries(bytes, name);
  if (entries.some((entry) => entry.encrypted)) throw encrypted(name);
  if (!entries.some((entry) => entry.name === "word/document.xml")) {
    throw new StrataError("FILE_BINARY", `Expected a DOCX file; ${name} is another kind of ZIP archive.`, {
      details: { name },
    });
  }
  await refuseBomb(bytes, entries, name, maxBytes);
  const { default: mammoth } = await loadOptional("mammoth", "Reading DOCX", () => import("mammoth"));
  const html = await mammoth
    .convertToHtml(
      { buffer: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) },
      {
        styleMap: ["p[style-name='Title'] => h1:fresh", "p[style-name='Subtitle'] => p:fresh"],
        convertImage: mammoth.images.imgElement(async () => ({ src: "" })),
        externalFileAccess: false,
      },
    )
    .catch((cause: unknown) => {
      throw new StrataError("FILE_UNREADABLE", `${name} is a damaged DOCX file.`, {
        cause,
        details: { name },
      });
    });
  const { text } = await readHtml(html.value);
  const title = await coreTitle(bytes, entries, name);
  return title ? { title, text } : { text };
}

/** Office writes an encrypted DOCX, as it writes old formats, into an OLE container. */
function refuseOfficeContainer(bytes: Uint8Array, name: string): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < 8 || view.readUInt32BE(0) !== 0xd0cf11e0) return;
  if (view.includes(Buffer.from("EncryptedPackage", "utf16le"))) throw encrypted(name);
  throw new StrataError(
    "FILE_BINARY",
    `Expected a DOCX file; ${name} is an old Office file. Save it as DOCX and try again.`,
    { details: { name } },
  );
}

/**
 * Unpacks each part of text within its promised size before anything else does: a small archive can hold gigabytes,
 * and its directory can lie about them.
 */
async function refuseBomb(
  bytes: Uint8Array,
  entries: readonly ZipEntry[],
  name: string,
  maxBytes: number,
): Promise<void> {
  const parts = entries.filter((entry) => /\.(?:xml|rels)$/.test(entry.name));
  const total = parts.reduce((sum, entry) => sum + entry.bytes, 0);
  if (!(total <= maxBytes)) {
    throw new StrataError(
      "FILE_TOO_LARGE",
      `Expected at most ${maxBytes} bytes unpacked; ${name} unpacks to ${total}. Raise maxBytes or split it.`,
      { details: { name, bytes: total, maxBytes } },
    );
  }
  for (const entry of parts) await readZipEntry(bytes, entry, name);
}

async function coreTitle(
  bytes: Uint8Array,
  entries: readonly ZipEntry[],
  name: string,
): Promise<string | undefined> {
  const core = entries.find((entry) => entry.name === "docProps/core.xml");
  if (core === undefined) return undefined;
  const xml = Buffer.from(await readZipEntry(bytes, core, name)).toString("utf8");
  const written = /<dc:title>([^<]*)<\/dc:title>/.exec(xml)?.[1] ?? "";
  return (await readHtml(`<title>${written}</title>`)).title;
}

function encrypted(name: string): StrataError {
  return new StrataError(
    "FILE_ENCRYPTED",
    `${name} opens only with a password. Save it without one and try again.`,
    { details: { name } },
  );
}

import { StrataError } from "../contract/errors.ts";

/** What a document is, as it is split: HTML and DOCX arrive as Markdown-like text. */
export type DocumentKind = "text" | "markdown" | "html" | "code" | "json" | "jsonl" | "pdf" | "docx";

export type TextEncoding = "utf-8" | "utf-16le" | "utf-16be";

/** What the first bytes and the name tell of a document. */
export interface Sniffed {
  readonly kind: DocumentKind;
  /** Of source code and data: "typescript", "python", "yaml"; the Markdown code-fence names. */
  readonly language?: string;
  readonly encoding: TextEncoding;
}

/** Bytes from the start of a document that {@link sniffKind} looks at. */
export const sniffBytes = 8192;

const kindBySuffix: Readonly<Record<string, DocumentKind>> = {
  md: "markdown",
  markdown: "markdown",
  mdx: "markdown",
  mkd: "markdown",
  html: "html",
  htm: "html",
  xhtml: "html",
  json: "json",
  jsonl: "jsonl",
  ndjson: "jsonl",
};

const languageBySuffix: Readonly<Record<string, string>> = Object.fromEntries(
  [
    "typescript ts mts cts tsx",
    "javascript js mjs cjs jsx",
    "python py pyi pyw",
    "rust rs",
    "go go",
    "java java",
    "kotlin kt kts",
    "swift swift",
    "c c h",
    "cpp cc cpp cxx hpp hh hxx ino",
    "csharp cs",
    "objectivec m mm",
    "ruby rb rake gemspec",
    "php php",
    "perl pl pm",
    "lua lua",
    "r r",
    "julia jl",
    "scala scala sc",
    "haskell hs",
    "elixir ex exs",
    "erlang erl hrl",
    "clojure clj cljs cljc edn",
    "dart dart",
    "zig zig",
    "shell sh bash zsh fish",
    "powershell ps1 psm1",
    "sql sql",
    "css css scss sass less",
    "vue vue",
    "svelte svelte",
    "yaml yaml yml",
    "toml toml",
    "ini ini cfg conf properties env",
    "xml xml xsd xsl xslt svg plist",
    "csv csv tsv",
    "graphql graphql gql",
    "protobuf proto",
    "terraform tf tfvars hcl",
    "nix nix",
    "json jsonc json5",
    "wat wat",
  ].flatMap((row) => {
    const [language, ...suffixes] = row.split(" ");
    return suffixes.map((suffix) => [suffix, language!] as const);
  }),
);

const languageByName: Readonly<Record<string, string>> = {
  dockerfile: "dockerfile",
  makefile: "makefile",
  gemfile: "ruby",
  rakefile: "ruby",
};

const languageByInterpreter: Readonly<Record<string, string>> = {
  python: "python",
  node: "javascript",
  deno: "typescript",
  bun: "typescript",
  ruby: "ruby",
  perl: "perl",
  php: "php",
  lua: "lua",
};

/** Formats that are no text, by their first bytes, with the name a person knows them by. */
const binaryMagic: readonly (readonly [name: string, hex: string])[] = [
  ["a PNG image", "89504e47"],
  ["a JPEG image", "ffd8ff"],
  ["a GIF image", "47494638"],
  ["a RIFF file (WebP, WAV or AVI)", "52494646"],
  ["a gzip archive", "1f8b"],
  ["a Zstandard archive", "28b52ffd"],
  ["an xz archive", "fd377a585a00"],
  ["a 7-Zip archive", "377abcaf271c"],
  ["a RAR archive", "526172211a07"],
  ["a bzip2 archive", "425a68"],
  ["an SQLite database", "53514c69746520666f726d61742033"],
  ["a WebAssembly module", "0061736d"],
  ["an ELF program", "7f454c46"],
  ["an Ogg file", "4f676753"],
  ["an MP3 file", "494433"],
];

const zipMagic = "504b0304";
const oleMagic = "d0cf11e0a1b11ae1";

/**
 * Type of a document by its content; the name decides only among kinds of text.
 * @param head The first {@link sniffBytes} of the document, or all of it.
 * @throws FILE_BINARY
 */
export function sniffKind(head: Uint8Array, name: string): Sniffed {
  const bytes = head.subarray(0, sniffBytes);
  const suffix = suffixOf(name);
  const hex = Buffer.from(bytes.subarray(0, 16)).toString("hex");
  if (isPdf(bytes, suffix)) return { kind: "pdf", encoding: "utf-8" };
  if (hex.startsWith(zipMagic) && (suffix === "docx" || startsLikeDocx(bytes)))
    return { kind: "docx", encoding: "utf-8" };
  if (hex.startsWith(oleMagic) && suffix === "docx") return { kind: "docx", encoding: "utf-8" };
  if (hex.startsWith(zipMagic) || hex.startsWith("504b0506")) throw binary(name, "a ZIP archive");
  if (hex.startsWith(oleMagic)) throw binary(name, "an old Office file");
  const encoding = hex.startsWith("fffe") ? "utf-16le" : hex.startsWith("feff") ? "utf-16be" : "utf-8";
  if (encoding === "utf-8") refuseBinary(bytes, hex, name);
  const start = new TextDecoder(encoding).decode(bytes).trimStart();
  return { ...kindOfText(start, name), encoding };
}

/** What is known by name and the first characters of a text. */
export function kindOfText(start: string, name: string): Omit<Sniffed, "encoding"> {
  const suffix = suffixOf(name);
  const bySuffix = kindBySuffix[suffix];
  if (bySuffix !== undefined) return { kind: bySuffix };
  const language = languageBySuffix[suffix] ?? languageByName[baseName(name).toLowerCase()];
  if (language !== undefined) return { kind: "code", language };
  const interpreter = /^#!.*?\b(python|node|deno|bun|ruby|perl|php|lua|\w*sh)[\d.]*\b/.exec(start)?.[1];
  if (interpreter !== undefined)
    return { kind: "code", language: languageByInterpreter[interpreter] ?? "shell" };
  if (/^(?:<!--[\s\S]*?-->\s*)?(?:<!doctype html|<html[\s>])/i.test(start)) return { kind: "html" };
  if (/^[{[]/.test(start)) {
    const firstLine = start.slice(0, start.search(/\r?\n|$/));
    if (isJson(firstLine) && /^\s*[{[]/.test(start.slice(firstLine.length))) return { kind: "jsonl" };
    if (/^(?:\{\s*"|\[\s*[[{"\d-])/.test(start)) return { kind: "json" };
  }
  if (suffix === "" && /^#{1,6} \S/m.test(start) && /^(?:```|[-*] \S)|\[[^\]\n]+\]\([^)\n]+\)/m.test(start))
    return { kind: "markdown" };
  return { kind: "text" };
}

/** Lower-case suffix without its dot; "" where there is none. */
function suffixOf(name: string): string {
  return /[^/\\]\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function baseName(name: string): string {
  return name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
}

function isPdf(bytes: Uint8Array, suffix: string): boolean {
  // The format allows junk before its header; without the suffix only a header at the start counts.
  const reach = suffix === "pdf" ? 1024 : 5;
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(reach, bytes.length)).includes("%PDF-");
}

function startsLikeDocx(bytes: Uint8Array): boolean {
  const firstEntry = Buffer.from(bytes.subarray(30, 62)).toString("latin1");
  if (!/^(?:\[Content_Types\]\.xml|_rels\/|docProps\/|word\/|mimetype)/.test(firstEntry)) return false;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes("word/");
}

function refuseBinary(bytes: Uint8Array, hex: string, name: string): void {
  const known = binaryMagic.find(([, magic]) => hex.startsWith(magic));
  if (known !== undefined && hasNonText(bytes)) throw binary(name, known[0]);
  if (bytes.includes(0)) throw binary(name, "binary data or text without a byte order mark");
}

/** True where a byte can stand in no text: a control character, or a byte above ASCII in an unfinished sequence. */
function hasNonText(bytes: Uint8Array): boolean {
  if (bytes.some((byte) => byte < 9 || (byte > 13 && byte < 27))) return true;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return false;
  } catch {
    return true;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function binary(name: string, what: string): StrataError {
  return new StrataError(
    "FILE_BINARY",
    `Expected text, Markdown, HTML, code, JSON, PDF or DOCX; ${name} is ${what}. Convert it to one of these first.`,
    { details: { name } },
  );
}

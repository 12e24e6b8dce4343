import type { DefaultTreeAdapterTypes } from "parse5";
import { decodeText } from "./text-decoder.ts";

type Node = DefaultTreeAdapterTypes.Node;
type Element = DefaultTreeAdapterTypes.Element;

/** A page's title and its text as Markdown: headings, lists, tables and code blocks kept, scripts and styles dropped. */
export interface HtmlText {
  readonly title?: string;
  readonly text: string;
}

const dropped = new Set([
  "script",
  "style",
  "noscript",
  "template",
  "svg",
  "canvas",
  "iframe",
  "object",
  "math",
]);
const paragraphs = new Set(
  "p blockquote article section main header footer nav aside figure table ul ol dl form fieldset details".split(
    " ",
  ),
);
const lines = new Set(
  "div li dt dd tr caption figcaption summary option legend address thead tbody tfoot".split(" "),
);

/** Decodes a page: strict UTF-8, or, where that fails, the character set its `meta` element names. */
export function decodeHtml(bytes: Uint8Array, name: string): string {
  try {
    return decodeText(bytes, "utf-8", name);
  } catch (error) {
    const head = Buffer.from(bytes.subarray(0, 1024)).toString("latin1");
    const label = /<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)/i.exec(head)?.[1];
    if (label === undefined || /^utf-?8$/i.test(label)) throw error;
    try {
      return new TextDecoder(label, { fatal: true }).decode(bytes);
    } catch {
      throw error;
    }
  }
}

/** Renders a page as Markdown-like text. */
export async function readHtml(source: string): Promise<HtmlText> {
  const { parse } = await import("parse5");
  const document = parse(source, { scriptingEnabled: false });
  const writer = new MarkdownWriter();
  // A stack in place of recursion: a hostile page nests deeper than the call stack goes.
  const stack: (Node | (() => void))[] = [document];
  let title: string | undefined;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (typeof next === "function") next();
    else if ("value" in next) writer.text(next.value);
    else if ("tagName" in next && next.tagName === "title" && next.parentNode?.nodeName === "head")
      title ??= collapse(textOf(next));
    else if (!("tagName" in next) || !dropped.has(next.tagName)) visit(next, writer, stack);
  }
  const text = writer.finish();
  return title ? { title, text } : { text };
}

function visit(node: Node, writer: MarkdownWriter, stack: (Node | (() => void))[]): void {
  const leave = "tagName" in node ? enter(node, writer) : undefined;
  if (leave === "done") return;
  if (leave !== undefined) stack.push(leave);
  if (!("childNodes" in node)) return;
  for (let index = node.childNodes.length - 1; index >= 0; index -= 1) {
    const child = node.childNodes[index]!;
    if (child.nodeName !== "#comment" && child.nodeName !== "#documentType") stack.push(child);
  }
}

/** Writes what opens an element; returns what closes it, or "done" when its children were written too. */
function enter(element: Element, writer: MarkdownWriter): (() => void) | "done" | undefined {
  const tag = element.tagName;
  const heading = /^h([1-6])$/.exec(tag);
  if (heading !== null) {
    const title = collapse(textOf(element));
    if (title !== "") writer.block(`${"#".repeat(Number(heading[1]))} ${title}`);
    return "done";
  }
  if (tag === "pre") {
    writer.fence(textOf(element));
    return "done";
  }
  if (tag === "br") writer.newLine();
  else if (tag === "hr") writer.block("---");
  else if (tag === "img") writer.text(attribute(element, "alt") ?? "");
  else if (tag === "td" || tag === "th") writer.cell();
  else if (tag === "li") writer.item();
  else if (tag === "ul" || tag === "ol") return writer.list();
  else if (paragraphs.has(tag)) {
    writer.paragraph();
    return () => writer.paragraph();
  } else if (lines.has(tag)) {
    writer.newLine();
    return () => writer.newLine();
  }
  return undefined;
}

function attribute(element: Element, name: string): string | undefined {
  return element.attrs.find((each) => each.name === name)?.value;
}

/** Text below an element, scripts and the like left out. */
function textOf(element: Element): string {
  const parts: string[] = [];
  const stack: Node[] = [element];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if ("value" in node) parts.push(node.value);
    else if (node.nodeName === "br") parts.push("\n");
    else if ("childNodes" in node && !dropped.has(node.nodeName)) stack.push(...node.childNodes.toReversed());
  }
  return parts.join("");
}

function collapse(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** Collects Markdown; knows where a line starts, so that white space collapses as a browser's does. */
class MarkdownWriter {
  readonly #parts: string[] = [];
  /** Line breaks owed before the next text. */
  #owed = 0;
  #space = false;
  #lineStart = true;
  #depth = 0;
  /** A list item's mark was written: its first paragraph goes on the same line. */
  #atItem = false;

  text(value: string): void {
    for (const [index, word] of value.split(/[ \t\n\r\f]+/).entries()) {
      if (index > 0) this.#space = true;
      if (word !== "") this.#word(word);
    }
  }

  newLine(): void {
    if (!this.#atItem) this.#owed = Math.max(this.#owed, 1);
  }

  paragraph(): void {
    if (!this.#atItem) this.#owed = Math.max(this.#owed, this.#depth > 0 ? 1 : 2);
  }

  /** One line with blank lines around it. */
  block(line: string): void {
    this.#owed = this.#atItem ? 0 : 2;
    this.#flush();
    this.#atItem = false;
    this.#parts.push(line);
    this.#lineStart = false;
    this.#owed = 2;
  }

  fence(code: string): void {
    const body = code.replace(/^\n|\s+$/g, "");
    if (body === "") return;
    const longest = Math.max(2, ...[...body.matchAll(/`{3,}/g)].map(([run]) => run.length));
    const fence = "`".repeat(longest + 1);
    this.block(`${fence}\n${body}\n${fence}`);
  }

  list(): () => void {
    this.paragraph();
    this.#depth += 1;
    return () => {
      this.#depth -= 1;
      this.paragraph();
    };
  }

  item(): void {
    this.#owed = Math.max(this.#owed, 1);
    this.#flush();
    this.#atItem = true;
    this.#parts.push(`${"  ".repeat(Math.min(8, Math.max(0, this.#depth - 1)))}- `);
    this.#space = false;
    this.#lineStart = true;
  }

  cell(): void {
    if (this.#owed > 0) this.#flush();
    if (!this.#lineStart) this.#parts.push(" |");
    this.#space = !this.#lineStart;
  }

  finish(): string {
    return this.#parts.join("");
  }

  #word(word: string): void {
    this.#flush();
    if (this.#space && !this.#lineStart) this.#parts.push(" ");
    // A word of the page must not turn into a heading, a fence or an underline of the Markdown it becomes.
    if (this.#lineStart && /^(?:#{1,6}|`{3,}|~{3,}|=+|-+|<!--|<pre|<script|<style)/.test(word))
      this.#parts.push("\\");
    this.#parts.push(word);
    this.#space = false;
    this.#lineStart = false;
    this.#atItem = false;
  }

  #flush(): void {
    if (this.#owed === 0) return;
    if (this.#parts.length > 0) this.#parts.push("\n".repeat(this.#owed));
    this.#owed = 0;
    this.#space = false;
    this.#lineStart = true;
  }
}

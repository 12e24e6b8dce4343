import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { type ReadDocument, readDocument } from "./read-document.ts";

function read(content: string | Uint8Array, name: string, maxBytes?: number): Promise<ReadDocument> {
  return readDocument(typeof content === "string" ? Buffer.from(content) : content, { name, maxBytes });
}

test("plain text comes out as it is", async () => {
  assert.deepEqual(await read("Ada prefers tea.\r\n", "note.txt"), {
    kind: "text",
    text: "Ada prefers tea.\r\n",
  });
});

test("a byte order mark is left out, UTF-16 is decoded", async () => {
  assert.equal((await read("\ufeffтекст", "a.txt")).text, "текст");
  assert.equal((await read(Buffer.from("\ufeffтекст", "utf16le"), "a.txt")).text, "текст");
  assert.equal((await read(Buffer.from("\ufeffтекст", "utf16le").swap16(), "a.txt")).text, "текст");
});

test("wrong UTF-8 is an error, not replacement characters", async () => {
  for (const bytes of [[0x61, 0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
    await assert.rejects(read(Uint8Array.from(bytes), "a.txt"), { code: "INVALID_UTF8" });
  }
});

test("the kind follows name and content", async () => {
  const cases: [string, string, string, string?][] = [
    ["# Title", "a.md", "markdown"],
    ["# Title\n\n- one\n- two\n", "README", "markdown"],
    ["x = 1", "a.py", "code", "python"],
    ["#!/usr/bin/env python3\n# A script\n", "run", "code", "python"],
    ["a: 1", "a.yaml", "code", "yaml"],
    ['{"a": 1}', "a.json", "json"],
    ['{"a": 1}', "download", "json"],
    ['{"a": 1}\n{"a": 2}\n', "download", "jsonl"],
    ["[Ada] wrote this.", "chat", "text"],
    ["<!doctype html><p>Hi", "download", "html"],
    ["<!doctype html><p>Hi", "download.txt", "html"],
    ["<!doctype html><p>Hi", "page.vue", "code", "vue"],
    ["ID3 tags are text here", "a.txt", "text"],
  ];
  for (const [content, name, kind, language] of cases) {
    const document = await read(content, name);
    assert.equal(document.kind, kind, name);
    assert.equal(document.language, language, name);
  }
});

test("binary formats are named as what they are", async () => {
  const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
  await assert.rejects(read(png, "a.txt"), { code: "FILE_BINARY", message: /PNG/ });
  await assert.rejects(read(Uint8Array.from([65, 0, 66]), "a.txt"), { code: "FILE_BINARY" });
  await assert.rejects(read(zip({ "a.txt": "text" }), "a.zip"), { code: "FILE_BINARY", message: /ZIP/ });
  await assert.rejects(read(zip({ "a.txt": "text" }), "a.docx"), { code: "FILE_BINARY" });
  await assert.rejects(read(ole("WordDocument"), "a.doc"), { code: "FILE_BINARY" });
});

test("an oversized document is refused", async () => {
  await assert.rejects(read("12345", "a.txt", 4), { code: "FILE_TOO_LARGE" });
  await assert.rejects(read("12345", "a.txt", Number.NaN), { code: "FILE_TOO_LARGE" });
});

test("Markdown's title is its front matter's, else its first heading of level 1", async () => {
  const titleOf = async (text: string): Promise<string | undefined> => (await read(text, "a.md")).title;
  assert.equal(await titleOf('---\ntitle: "The guide"\n---\n# Other\n'), "The guide");
  assert.equal(await titleOf("## Small\n\n```\n# no\n```\n\n# The `guide` ##\n"), "The guide");
  assert.equal(await titleOf("The\nguide\n=====\n"), "The guide");
  assert.equal(await titleOf("## Only a part\n"), undefined);
});

test("HTML becomes Markdown: title, headings, lists, tables and code kept, scripts and styles dropped", async () => {
  const page = `<!doctype html><html><head><title> A &amp; B </title><style>p{}</style></head><body>
    <script>alert("no")</script><noscript>no</noscript><h1>Main <em>title</em></h1>
    <p>Fish &amp; chips&nbsp;&mdash; <b>good</b>,<br>cheap.</p><h2>List</h2>
    <ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul>
    <table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x = 1;\n  # y</pre><p># no heading</p><img alt="A cat"></body></html>`;
  const { kind, title, text } = await read(page, "page.html");
  assert.equal(kind, "html");
  assert.equal(title, "A & B");
  assert.equal(
    text,
    "# Main title\n\nFish & chips\u00a0— good,\ncheap.\n\n## List\n\n- one\n  - inner\n- two\n\na | b\n1 | 2\n\n```\nx = 1;\n  # y\n```\n\n\\# no heading\n\nA cat",
  );
});

test("HTML of hostile depth is read", async () => {
  const { text } = await read(`<!doctype html>${"<div>".repeat(50_000)}deep`, "page.html");
  assert.equal(text, "deep");
});

test("HTML in the character set it names is read, in none it is refused", async () => {
  const body = Buffer.concat([Buffer.from("<!doctype html><p>caf"), Buffer.from([0xe9])]);
  await assert.rejects(read(body, "a.html"), { code: "INVALID_UTF8" });
  const named = Buffer.concat([
    Buffer.from('<!doctype html><meta charset="windows-1252"><p>caf'),
    Buffer.from([0xe9]),
  ]);
  assert.equal((await read(named, "a.html")).text, "café");
});

test("PDF is read as PDF, whatever its name, with its title", async () => {
  for (const name of ["a.pdf", "a.txt"]) {
    assert.deepEqual(await read(pdf({ text: "Hello from a page", title: "The paper" }), name), {
      kind: "pdf",
      title: "The paper",
      text: "Hello from a page",
    });
  }
});

test("PDF that is encrypted, damaged or has no text is refused", async () => {
  await assert.rejects(read(pdf({ text: "x", encrypted: true }), "a.pdf"), { code: "FILE_ENCRYPTED" });
  await assert.rejects(read("%PDF-1.7 and nothing", "a.pdf"), { code: "FILE_UNREADABLE" });
  await assert.rejects(read(pdf({ text: "" }), "a.pdf"), {
    code: "FILE_UNREADABLE",
    message: /without any text/,
  });
});

test("DOCX is read with its title and headings", async () => {
  assert.deepEqual(await read(docx(), "download"), {
    kind: "docx",
    title: "The plan & more",
    text: "# Chapter one\n\nFirst paragraph.",
  });
});

test("DOCX that is encrypted, damaged or unpacks to too much is refused", async () => {
  await assert.rejects(read(ole("EncryptedPackage"), "a.docx"), { code: "FILE_ENCRYPTED" });
  const locked = zip(docxParts);
  locked.writeUInt16LE(1, locked.indexOf(Buffer.from("504b0102", "hex")) + 8);
  await assert.rejects(read(locked, "a.docx"), { code: "FILE_ENCRYPTED" });
  await assert.rejects(read(docx().subarray(0, -30), "a.docx"), { code: "FILE_UNREADABLE" });
  const bomb = zip({ ...docxParts, "word/document.xml": " ".repeat(1_000_000) });
  await assert.rejects(read(bomb, "a.docx", 20_000), { code: "FILE_TOO_LARGE" });
});

test("DOCX whose directory lies about what it unpacks to is refused", async () => {
  const bomb = zip({ "word/document.xml": " ".repeat(1_000_000) });
  bomb.writeUInt32LE(100, bomb.indexOf(Buffer.from("504b0102", "hex")) + 24);
  await assert.rejects(read(bomb, "a.docx"), { code: "FILE_UNREADABLE" });
});

/** A PDF of one page, put together by hand. */
function pdf(options: { text: string; title?: string; encrypted?: boolean }): Buffer {
  const content = options.text === "" ? "" : `BT /F1 12 Tf 72 720 Td (${options.text}) Tj ET`;
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    `<< /Title (${options.title ?? ""}) >>`,
    `<< /Filter /Standard /V 1 /R 2 /O <${"11".repeat(32)}> /U <${"22".repeat(32)}> /P -4 >>`,
  ];
  let body = "%PDF-1.4\n";
  const offsets = objects.map((object, index) => {
    const offset = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  const lock = options.encrypted ? ` /Encrypt 7 0 R /ID [<${"33".repeat(16)}> <${"33".repeat(16)}>]` : "";
  const size = objects.length + 1;
  return Buffer.from(
    `${body}xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<< /Size ${size} /Root 1 0 R /Info 6 0 R${lock} >>\nstartxref\n${body.length}\n%%EOF\n`,
    "latin1",
  );
}

const word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const docxParts: Readonly<Record<string, string>> = {
  "[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
  "_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
  "word/styles.xml": `<w:styles xmlns:w="${word}"><w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/></w:style></w:styles>`,
  "word/_rels/document.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`,
  "word/document.xml": `<w:document xmlns:w="${word}"><w:body><w:p><w:pPr><w:pStyle w:val="H1"/></w:pPr><w:r><w:t>Chapter one</w:t></w:r></w:p><w:p><w:r><w:t>First paragraph.</w:t></w:r></w:p></w:body></w:document>`,
  "docProps/core.xml": `<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>The plan &amp; more</dc:title></cp:coreProperties>`,
};

function docx(): Buffer {
  return zip(docxParts);
}

/** A ZIP archive of deflated files. */
function zip(files: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = deflateRawSync(content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(Buffer.byteLength(content), 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("504b0304", "hex"), common, Buffer.from(name), data);
    const entry = Buffer.alloc(14);
    entry.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("504b01021400", "hex"), common, entry, Buffer.from(name));
    offset += 30 + name.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listed, end]);
}

/** The start of an Office container that names one stream. */
function ole(stream: string): Buffer {
  return Buffer.concat([
    Buffer.from("d0cf11e0a1b11ae1", "hex"),
    Buffer.alloc(504),
    Buffer.from(stream, "utf16le"),
  ]);
}

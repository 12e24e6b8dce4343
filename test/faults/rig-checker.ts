import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { vectorText } from "../../src/contract/index-text.ts";
import { tiers } from "../../src/contract/tier.ts";
import { checkConsistency } from "../../src/storage/sqlite/check-consistency.ts";
import { journalKinds } from "../../src/storage/sqlite/write-step.ts";
import type { DocumentState, Ledger, OwnState } from "./rig-ledger.ts";
import { contentOf, documentText, markerOf, tagsOf, vectorOf } from "./rig-texts.ts";

/** What a check found; all lists are empty when nothing was lost. */
export interface Findings {
  /** Acknowledged and not there. */
  readonly lost: string[];
  /** There twice, or there although it was forgotten. */
  readonly duplicated: string[];
  /** A journal and a tier that disagree, counts that moved without their entry. */
  readonly halfMoves: string[];
  readonly halfDocuments: string[];
  /** Derived things that disagree with the truth, promises that were broken. */
  readonly broken: string[];
  readonly integrity: string[];
  /** Writes under way at a kill: found whole, found absent. */
  kept: number;
  dropped: number;
}

interface MemoryFacts {
  readonly row: number;
  readonly id: string;
  readonly namespace: string;
  readonly content: string;
  readonly hash: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly key: string | null;
  readonly tier: number;
  readonly thread: string | null;
  readonly speaker: string | null;
  readonly at: number | null;
  readonly happenedAt: number;
  readonly vector: Uint8Array | null;
  readonly code: number;
}

/** Compares a file that nobody writes to with what its writers were told. Uncertain writes are settled as they are found. */
export function checkFile(path: string, ledger: Ledger): Findings {
  const findings: Findings = {
    lost: [],
    duplicated: [],
    halfMoves: [],
    halfDocuments: [],
    broken: [],
    integrity: [],
    kept: 0,
    dropped: 0,
  };
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    const integrity = database.prepare("pragma integrity_check(5)").all();
    findings.integrity.push(
      ...integrity.map((row) => String(row["integrity_check"])).filter((message) => message !== "ok"),
    );
    for (const sentence of checkConsistency(database)) {
      const list = /ids that two/.test(sentence)
        ? findings.duplicated
        : /of a tier|journal/.test(sentence)
          ? findings.halfMoves
          : /chunk|document|revision/.test(sentence)
            ? findings.halfDocuments
            : findings.broken;
      list.push(sentence);
    }
    const facts = readFacts(database);
    const departures = readDepartures(database);
    checkOwn(facts, departures, ledger, findings);
    checkKeys(database, facts, departures, ledger, findings);
    checkCounts(facts, ledger, findings);
    checkDocuments(database, ledger, findings);
    checkJournal(database, ledger, findings);
    for (const memory of facts.values()) {
      if (!sameVector(memory.vector, vectorText(fieldsOf(memory))))
        findings.broken.push(`vector of ${memory.id}`);
    }
  } finally {
    database.close();
  }
  checkErased(path, ledger, findings);
  return findings;
}

export function isSound(findings: Findings): boolean {
  const { lost, duplicated, halfMoves, halfDocuments, broken, integrity } = findings;
  return [lost, duplicated, halfMoves, halfDocuments, broken, integrity].every((list) => list.length === 0);
}

/** Memories of their own, by namespace and id. */
function readFacts(database: DatabaseSync): Map<string, MemoryFacts> {
  const rows = database
    .prepare(
      `select m.row, m.id, n.name, n.id as code, m.content, m.content_hash, m.metadata, m.tags, m.idempotency_key, e.tier,
         m.thread, m.speaker, m.at, m.happened_at, v.data
       from memory m join entry e on e.id = m.entry join namespace n on n.id = m.namespace
         left join vector v on v.row = m.row where m.chunk is null`,
    )
    .all();
  return new Map(
    rows.map((row) => [
      `${row["name"]}/${row["id"]}`,
      {
        row: Number(row["row"]),
        id: String(row["id"]),
        namespace: String(row["name"]),
        code: Number(row["code"]),
        content: String(row["content"]),
        hash: String(row["content_hash"]),
        metadata: JSON.parse(String(row["metadata"] ?? "{}")),
        tags: JSON.parse(String(row["tags"] ?? "[]")),
        key: row["idempotency_key"] as string | null,
        tier: Number(row["tier"]),
        thread: row["thread"] as string | null,
        speaker: row["speaker"] as string | null,
        at: row["at"] as number | null,
        happenedAt: Number(row["happened_at"]),
        vector: row["data"] as Uint8Array | null,
      },
    ]),
  );
}

/** Memories of which the journal last says that they left by themselves. */
function readDepartures(database: DatabaseSync): Set<string> {
  const rows = database
    .prepare(
      `select n.name, j.memory_id, j.kind, j.to_tier from journal j join namespace n on n.id = j.namespace
       where j.document = 0 order by j.id`,
    )
    .all();
  const departures = new Set<string>();
  for (const row of rows) {
    const name = `${row["name"]}/${row["memory_id"]}`;
    const left = row["to_tier"] === null && journalKinds[Number(row["kind"])] !== "forget";
    if (left) departures.add(name);
    else departures.delete(name);
  }
  return departures;
}

function checkOwn(
  facts: ReadonlyMap<string, MemoryFacts>,
  departures: ReadonlySet<string>,
  ledger: Ledger,
  findings: Findings,
): void {
  for (const [name, state] of ledger.own) {
    const found = facts.get(name);
    const { pending } = state;
    const allowed = allowedRevisions(state);
    const revision = found && Number(found.metadata["revision"]);
    if (pending) {
      if (revision === (pending.kind === "forget" ? undefined : revisionOf(pending, state))) findings.kept++;
      else findings.dropped++;
    }
    if (!found) {
      if (!allowed.has(undefined) && !departures.has(name))
        findings.lost.push(`${name} at ${state.revision}`);
    } else if (allowed.has(revision)) {
      const told =
        found.content === contentOf(state.id, revision!) &&
        found.hash === createHash("sha256").update(found.content).digest("hex") &&
        found.tags.join() === tagsOf(state.owner, revision!).join();
      if (!told) findings.lost.push(`${name} is a mixture at ${revision}`);
    } else if (allowed.has(undefined) && allowed.size === 1) findings.duplicated.push(`${name} is back`);
    else findings.lost.push(`${name} is at ${revision}, acknowledged at ${state.revision}`);
    // What was evicted comes back when the run that made room for something is undone.
    if (found || !departures.has(name)) state.revision = revision;
    state.pending = undefined;
  }
  for (const [name, memory] of facts) {
    if (!ledger.own.has(name) && memory.key === null && !memory.id.startsWith("shared")) {
      findings.duplicated.push(`${name} was stored by nobody`);
    }
  }
}

function revisionOf(pending: NonNullable<OwnState["pending"]>, state: OwnState): number | undefined {
  if (pending.kind === "change" || pending.kind === "restore") return pending.revision;
  return pending.kind === "move" ? state.revision : 0;
}

/** Undefined stands for a memory that is not there. */
function allowedRevisions({ revision, pending }: OwnState): Set<number | undefined> {
  const allowed = new Set([revision]);
  if (pending?.kind === "store" || pending?.kind === "store-many") allowed.add(0);
  if (pending?.kind === "change") allowed.add(pending.revision);
  if (pending?.kind === "forget") allowed.add(undefined);
  if (pending?.kind === "restore") allowed.add(pending.revision);
  return allowed;
}

function checkKeys(
  database: DatabaseSync,
  facts: ReadonlyMap<string, MemoryFacts>,
  departures: ReadonlySet<string>,
  ledger: Ledger,
  findings: Findings,
): void {
  const twice = database
    .prepare(
      "select content_hash from memory where idempotency_key is not null group by namespace, content_hash having count(*) > 1",
    )
    .all();
  for (const row of twice) findings.duplicated.push(`text ${row["content_hash"]} of one key`);
  for (const [name, { namespace, ids }] of ledger.keys) {
    if (ids.size !== 1) findings.duplicated.push(`${name} gave ${ids.size} ids`);
    for (const id of ids) {
      const place = `${namespace}/${id}`;
      if (!facts.has(place) && !departures.has(place)) findings.lost.push(`${name} as ${id}`);
    }
  }
}

function checkCounts(facts: ReadonlyMap<string, MemoryFacts>, ledger: Ledger, findings: Findings): void {
  for (const count of ledger.counts.values()) {
    const { id, owner, acknowledged, pending } = count;
    const found = Number(facts.get(`first/${id}`)?.metadata[owner] ?? 0);
    if (found < acknowledged)
      findings.lost.push(`${id} counts ${found} for ${owner}, acknowledged ${acknowledged}`);
    if (found > acknowledged + pending) findings.duplicated.push(`${id} counts ${found} for ${owner}`);
    count.acknowledged = found;
    count.pending = 0;
  }
}

function checkDocuments(database: DatabaseSync, ledger: Ledger, findings: Findings): void {
  const chunksOf = database.prepare(
    `select m.content, m.chunk, m.start_offset as start, m.end_offset as end, v.data from document d
       join namespace n on n.id = d.namespace join memory m on m.entry = d.entry left join vector v on v.row = m.row
     where n.name = ? and d.uri = ? order by m.chunk`,
  );
  const headOf = database.prepare(
    `select d.chunks, d.characters from document d join namespace n on n.id = d.namespace where n.name = ? and d.uri = ?`,
  );
  for (const state of ledger.documents.values()) {
    const { namespace, uri } = state;
    const name = `${namespace}/${uri}`;
    const head = headOf.get(namespace, uri);
    const chunks = chunksOf.all(namespace, uri);
    const possible = lastWrites(state);
    const version = head && possible.find((write) => isDocument(write.version, uri, chunks))?.version;
    if (head && version === undefined) {
      const stale = state.writes.find((write) => isDocument(write.version, uri, chunks))?.version;
      if (stale === undefined) findings.halfDocuments.push(`${name} is no version that was written`);
      else findings.lost.push(`${name} is ${stale}, a later version was acknowledged`);
    }
    if (
      !head &&
      possible.length > 0 &&
      possible.every((write) => write.version !== undefined && Number.isFinite(write.end))
    ) {
      findings.lost.push(name);
    }
    if (head && Number(head["chunks"]) !== chunks.length) findings.halfDocuments.push(`${name} lacks chunks`);
    // A row of nothing stands for a document that is not there.
    state.writes = [{ version, begin: 0, end: 0 }];
  }
}

/** Writes that may be the last one: none that was acknowledged began after them. */
function lastWrites(state: DocumentState): DocumentState["writes"] {
  const lastBegin = Math.max(
    ...state.writes.filter(({ end }) => Number.isFinite(end)).map(({ begin }) => begin),
    0,
  );
  return state.writes.filter(({ end }) => end >= lastBegin);
}

function isDocument(
  version: string | undefined,
  uri: string,
  chunks: readonly Record<string, unknown>[],
): boolean {
  if (version === undefined || chunks.length === 0) return false;
  const text = documentText(uri, version);
  return (
    chunks.every((chunk, at) => {
      const content = String(chunk["content"]);
      return (
        Number(chunk["chunk"]) === at &&
        text.slice(Number(chunk["start"]), Number(chunk["end"])) === content &&
        sameVector(chunk["data"] as Uint8Array, content)
      );
    }) &&
    Number(chunks[0]!["start"]) === 0 &&
    Number(chunks.at(-1)!["end"]) === text.length
  );
}

/** Each move of the journal begins where the one before it ended, and the last one where the entry is. */
function checkJournal(database: DatabaseSync, ledger: Ledger, findings: Findings): void {
  const rows = database
    .prepare(
      `select n.name, j.memory_id, j.document, j.from_tier, j.to_tier from journal j
         join namespace n on n.id = j.namespace order by j.id`,
    )
    .all();
  const places = database.prepare(
    `select n.name, m.id, 0 as document, e.tier from memory m join entry e on e.id = m.entry
       join namespace n on n.id = m.namespace where m.chunk is null
     union all select n.name, d.id, 1, e.tier from document d join entry e on e.id = d.entry
       join namespace n on n.id = d.namespace`,
  );
  const last = new Map<string, unknown>(
    [...ledger.own].flatMap(([name, { tier }]) => (tier ? [[`${name}/0`, tiers.indexOf(tier)]] : [])),
  );
  const moves = new Map<string, number>();
  for (const row of rows) {
    const name = `${row["name"]}/${row["memory_id"]}/${row["document"]}`;
    const before = last.get(name);
    if (before !== undefined && before !== null && before !== row["from_tier"]) {
      findings.halfMoves.push(`${name} left tier ${row["from_tier"]}, and was in ${before}`);
    }
    last.set(name, row["to_tier"]);
    if (row["to_tier"] !== null)
      moves.set(String(row["memory_id"]), (moves.get(String(row["memory_id"])) ?? 0) + 1);
  }
  for (const row of places.all()) {
    const to = last.get(`${row["name"]}/${row["id"]}/${row["document"]}`);
    if (to === null && row["document"] === 0)
      findings.halfMoves.push(`${row["name"]}/${row["id"]} left by the journal, and is there`);
    else if (to !== undefined && to !== null && to !== row["tier"]) {
      findings.halfMoves.push(`${row["name"]}/${row["id"]} is in ${row["tier"]}, by the journal in ${to}`);
    }
  }
  for (const [id, shared] of ledger.sharedMoves) {
    const found = moves.get(id) ?? 0;
    // A move to the tier it is in already is none.
    if (found > shared.acknowledged + shared.pending) findings.halfMoves.push(`${id} moved ${found} times`);
  }
}

function fieldsOf(memory: MemoryFacts) {
  const { content, thread, speaker, at } = memory;
  return {
    content,
    ...(thread !== null && { thread }),
    ...(speaker !== null && { speaker }),
    ...(at !== null && { at }),
  };
}

/** The kept vector is that of the text, to the bit. */
function sameVector(data: Uint8Array | null, text: string): boolean {
  if (data === null) return false;
  const whole = vectorOf(text);
  const length = Math.hypot(...whole);
  const expected = new Float16Array(whole.map((value) => value / length));
  const kept = new Float16Array(new Uint8Array(data).buffer);
  return expected.length === kept.length && expected.every((value, at) => Math.abs(value - kept[at]!) < 1e-3);
}

/** No byte of what was erased is in any file of the memory. */
function checkErased(path: string, ledger: Ledger, findings: Findings): void {
  const erased = [...ledger.own.values()].filter((state) => state.erased);
  if (erased.length === 0) return;
  const folder = `${path}-index`;
  const files = [path, `${path}-wal`, ...listFiles(folder)];
  for (const file of files) {
    const bytes = readIfThere(file);
    for (const { id } of erased) {
      // Terms are kept in lower case.
      if (bytes.includes(markerOf(id)) || bytes.includes(markerOf(id).toLowerCase())) {
        findings.broken.push(`${id} was erased and is in ${file.slice(path.length) || "the database"}`);
      }
    }
  }
  for (const state of erased) state.erased = false;
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}

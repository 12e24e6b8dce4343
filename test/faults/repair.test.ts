import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { before, suite, test } from "node:test";
import fc from "fast-check";
import { StrataError } from "../../src/contract/errors.ts";
import type { Memory } from "../../src/contract/memory.ts";
import { diagnose } from "../../src/engine/doctor.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { repairMemory } from "../../src/engine/repair-memory.ts";
import { checkConsistency } from "../../src/storage/sqlite/check-consistency.ts";
import { readLogFrames } from "../../src/storage/sqlite/log-frames.ts";
import { PageFile } from "../../src/storage/sqlite/page-file.ts";
import { repairDatabase } from "../../src/storage/sqlite/repair-database.ts";
import { rowsOfPage } from "../../src/storage/sqlite/stored-records.ts";
import { openOptions } from "./rig-texts.ts";

const pageSize = 4_096;
const folder = mkdtempSync(join(tmpdir(), "strata-repair-"));
const original = join(folder, "original.db");
let bytes: Buffer;
/** All of it by namespace and id. */
let stored: Map<string, Memory>;

/** Everything that is visible in a memory. */
async function readAll(path: string): Promise<Map<string, Memory>> {
  await using memory = await openMemory({ ...openOptions(path), mustExist: true });
  const all = new Map<string, Memory>();
  for (const namespace of await memory.namespaces()) {
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await memory.list({ namespace, limit: 500, ...(cursor !== undefined && { cursor }) });
      for (const one of page.memories) all.set(`${namespace}/${one.id}`, one);
      cursor = page.cursor;
    }
  }
  return all;
}

before(async () => {
  {
    await using memory = await openMemory(openOptions(original));
    for (const namespace of ["first", "second"]) {
      const items = Array.from({ length: 250 }, (_, at) => ({
        id: `${namespace}${at}`,
        content: `memory ${at} of ${namespace} ${"lorem ipsum dolor ".repeat(at % 40)}`,
        tags: [`tag${at % 5}`],
        metadata: { at, nested: { namespace } },
        importance: (at % 11) / 10,
        ...(at % 4 === 0 && { thread: "talk", speaker: "Ada", at: new Date(1_700_000_000_000 + at * 1_000) }),
      }));
      await memory.storeMany(items, { namespace });
      await memory.store("long ".repeat(4_000), { id: `${namespace}-long`, namespace });
      for (let number = 0; number < 4; number++) {
        const text = Array.from({ length: 30 }, (_, at) => `Paragraph ${at} of document ${number}.`).join(
          "\n\n",
        );
        await memory.ingest({ name: `document${number}.md`, text }, { namespace, chunkSize: 24, overlap: 0 });
      }
      await memory.ingest({ name: "document0.md", text: "Short now." }, { namespace });
      await memory.forget([`${namespace}7`, `${namespace}8`], { namespace });
      await memory.update(`${namespace}9`, { tier: "semantic", pinned: true }, { namespace });
    }
  }
  bytes = readFileSync(original);
  stored = await readAll(original);
});

/** Repairs a damaged copy and reads what came back. */
async function repaired(damage: (copy: Buffer) => void) {
  const copy = Buffer.from(bytes);
  damage(copy);
  const path = join(folder, "damaged.db");
  const target = join(folder, "repaired.db");
  for (const file of [path, target])
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
  writeFileSync(path, copy);
  const report = await repairDatabase(path, target, { now: Date.now() });
  assert.deepEqual(readFileSync(path), copy, "the damaged file is only read");
  return { report, found: await readAll(target) };
}

/** Memories whose whole row lies on one page, by page. */
function idsOfPage(page: number): string[] {
  using file = new PageFile(original);
  return rowsOfPage(file, page).flatMap(({ values }) =>
    values.length === 23 && typeof values[22] === "string" && values[22].length < 1_500
      ? [String(values[4])]
      : [],
  );
}

/** Memories by model as the file counts them, which must be what a recount finds. */
function modelsOf(path: string): Record<string, number> {
  using database = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual(checkConsistency(database), []);
  const rows = database
    .prepare(
      `select coalesce(o.name, 'none') as name, sum(c.memories) as memories from model_count c
       left join model o on o.id = c.model group by c.model having sum(c.memories) > 0`,
    )
    .all();
  return Object.fromEntries(rows.map((row) => [String(row["name"]), Number(row["memories"])]));
}

/** What a memory is, apart from what its entry tells of its life. */
function itself(memory: Memory): unknown {
  const { tier, importance, accessCount, lastUsedAt, expiresAt, pinned, ...rest } = memory;
  return rest;
}

suite("repair", () => {
  test("of a file that is whole brings everything back as it was", async () => {
    const { report, found } = await repaired(() => {});
    assert.deepEqual([report.lost, report.torn, report.doubtful, report.relived], [[], [], [], []]);
    assert.deepEqual([report.withoutVector, report.lostVectors], [0, []]);
    assert.deepEqual(
      [report.lostDocuments, report.rebuilt, report.tornSnapshots, report.renamed],
      [[], [], [], []],
    );
    assert.deepEqual([report.journal.lost, report.keptWithoutVector, report.lostTuning], [0, 0, 0]);
    assert.deepEqual(report.restarted, ["first", "second"]);
    assert.deepEqual(found, stored);
  });

  test("of a file with pages destroyed gives back what was stored, and all that lay on other pages", async () => {
    const pages = bytes.length / pageSize;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: pages }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 255 }),
        async (destroyed, filling) => {
          const { report, found } = await repaired((copy) => {
            for (const page of destroyed) copy.fill(filling, (page - 1) * pageSize, page * pageSize);
          });
          const relived = new Set(report.relived.map(({ namespace, id }) => `${namespace}/${id}`));
          for (const [name, memory] of found) {
            // The names of namespaces, models and documents may be what was lost.
            const was = stored.get(name);
            if (!was || memory.source) continue;
            const { model, ...kept } = itself(memory) as Memory;
            const { model: _model, ...before } = itself(was) as Memory;
            assert.deepEqual(kept, before);
            if (!relived.has(name)) assert.equal(memory.importance, was.importance);
          }
          const ids = new Set([...found.values()].map(({ id }) => id));
          const gone = new Set(report.lost.map(({ id }) => id));
          for (let page = 1; page <= pages; page++) {
            if (destroyed.includes(page)) continue;
            for (const id of idsOfPage(page)) {
              const visible = [...stored.values()].some((memory) => memory.id === id && !memory.source);
              if (visible) assert.ok(ids.has(id), `${id} lay on page ${page}`);
            }
          }
          const intact = destroyed.every((page) => page > 1 && !isIndexOrTold(page));
          if (!intact) return;
          const missing = [...stored.values()].filter((memory) => !memory.source && !ids.has(memory.id));
          assert.ok(report.lost.length >= missing.length, "each is counted");
          // The index that names them is found by the schema.
          if (destroyed.some(tellsOfIds)) return;
          for (const { id } of missing) assert.ok(gone.has(id), id);
        },
      ),
      {
        numRuns: 10,
        examples: [
          [[25, 57], 0],
          [[25, 85], 0],
        ],
      },
    );
  });

  test("of a file with bytes overturned gives back no text but one that was stored", async () => {
    const texts = new Set([...stored.values()].map(({ content }) => content));
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            at: fc.integer({ min: 0, max: bytes.length - 64 }),
            length: fc.integer({ min: 1, max: 64 }),
            mask: fc.integer({ min: 1, max: 255 }),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        async (damages) => {
          const { report, found } = await repaired((copy) => {
            for (const { at, length, mask } of damages) {
              for (let byte = at; byte < at + length; byte++) copy[byte]! ^= mask;
            }
          });
          for (const memory of found.values()) assert.ok(texts.has(memory.content), memory.id);
          const doubtful = new Set(report.doubtful.map(({ id }) => id));
          const ids = new Set([...stored.values()].map(({ id }) => id));
          const strange = [...found.values()].filter(({ id }) => !ids.has(id) && !doubtful.has(id));
          // An id whose index is damaged too is told by nothing; its text is.
          assert.ok(strange.length <= damages.length);
        },
      ),
      { numRuns: 10 },
    );
  });

  test("puts itself in the memory's place only when told to, and keeps the damaged file", async () => {
    const path = join(folder, "placed.db");
    const copy = Buffer.from(bytes);
    const page = Array.from({ length: bytes.length / pageSize }, (_, at) => at + 1).find(
      (at) => idsOfPage(at).length > 3,
    )!;
    const lost = idsOfPage(page);
    copy.fill(0x5a, (page - 1) * pageSize, page * pageSize);
    writeFileSync(path, copy);
    const { problems } = await diagnose({ path, configFile: false });
    assert.ok(problems.some(({ code }) => code === "DATABASE_CORRUPT"));
    const beside = await repairMemory({ path, configFile: false });
    assert.equal(beside.path, `${path}.repaired`);
    assert.deepEqual(readFileSync(path), copy);
    const told = new Set(beside.lost.map(({ id }) => id));
    for (const id of lost) if ([...stored.values()].some((one) => one.id === id)) assert.ok(told.has(id), id);
    await assert.rejects(repairMemory({ path, configFile: false }), { code: "DATABASE_EXISTS" });
    const { kept } = await repairMemory({ path, configFile: false, replace: true });
    assert.match(kept!, /\.damaged-\d{8}T\d{6}Z$/);
    assert.deepEqual(readFileSync(kept!), copy);
    const after = await diagnose({ path, configFile: false });
    assert.equal(after.problems.filter(({ code }) => code === "DATABASE_CORRUPT").length, 0);
  });

  test("counts a memory whose own vector is gone by the one beside it", async () => {
    const path = join(folder, "beside.db");
    copyFileSync(original, path);
    const database = new DatabaseSync(path);
    database.exec(`
      insert into model values (9, 'other');
      insert into side_vector (namespace, row, model, data)
        select m.namespace, v.row, 9, v.data from vector v join memory m on m.row = v.row;
      update vector set data = zeroblob(64)`);
    database.close();
    const report = await repairMemory({ path, configFile: false });
    assert.equal(report.memories, stored.size);
    assert.equal(report.withoutVector, 0, "each has one of the other model");
    assert.deepEqual(report.lostVectors, [{ model: "letters@1", vectors: stored.size }]);
    assert.deepEqual(modelsOf(report.path), { other: stored.size });
  });

  test("counts a memory of which every vector is gone as one without, and what is lost by model", async () => {
    const path = join(folder, "neither.db");
    copyFileSync(original, path);
    const database = new DatabaseSync(path);
    database.exec(`
      insert into model values (9, 'other');
      insert into side_vector (namespace, row, model, data)
        select m.namespace, v.row, 9, v.data from vector v join memory m on m.row = v.row;
      update vector set data = zeroblob(64) where row % 3 = 0;
      update side_vector set data = zeroblob(64) where row % 2 = 0`);
    const count = (where: string) =>
      Number(
        database
          .prepare(`select count(*) as c from memory where ${where} and entry in (select id from entry)`)
          .get()?.["c"],
      );
    const [own, beside, both] = [count("row % 3 = 0"), count("row % 2 = 0"), count("row % 6 = 0")];
    database.close();
    const report = await repairMemory({ path, configFile: false });
    assert.equal(report.withoutVector, both);
    assert.deepEqual(report.lostVectors, [
      { model: "letters@1", vectors: own },
      { model: "other", vectors: beside },
    ]);
    assert.deepEqual(modelsOf(report.path), {
      "letters@1": stored.size - own,
      other: stored.size - beside,
      none: both,
    });
  });

  test("of what is no memory is refused by name", async () => {
    const path = join(folder, "none.db");
    writeFileSync(path, "no database at all ".repeat(2_000));
    await assert.rejects(repairMemory({ path, configFile: false }), { code: "NOT_A_DATABASE" });
    assert.equal(existsSync(`${path}.repaired`), false);
    await assert.rejects(repairMemory({ path: join(folder, "nothing.db") }), { code: "DATABASE_NOT_FOUND" });
  });
});

/** True for a page from which ids are told: then what is lost may have no name. */
function isIndexOrTold(page: number): boolean {
  const type = bytes[(page - 1) * pageSize];
  return type !== 13;
}

/** The page of the schema that tells where the index of ids is. */
function tellsOfIds(page: number): boolean {
  using file = new PageFile(original);
  return rowsOfPage(file, page).some(({ values }) => values[0] === "index" && values[1] === "memory_id");
}

suite("a damaged write-ahead log", () => {
  /** A memory whose process was killed: everything is in the log. */
  function killed(): string {
    const path = join(mkdtempSync(join(tmpdir(), "strata-log-")), "memory.db");
    const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
    const program = `
      import { openMemory } from ${url("../../src/engine/open-memory.ts")};
      import { openOptions } from ${url("rig-texts.ts")};
      const memory = await openMemory(openOptions(${JSON.stringify(path)}));
      for (let at = 0; at < 60; at++) await memory.store("text " + at, { id: "m" + at });
      process.kill(process.pid, "SIGKILL");`;
    spawnSync(process.execPath, ["--input-type=module", "-e", program]);
    return path;
  }

  /** Overturns a byte of the page of a frame. */
  function damageFrame(path: string, choose: (frames: readonly { commit: number }[]) => number): void {
    const log = readLogFrames(`${path}-wal`)!;
    const bytes = readFileSync(`${path}-wal`);
    bytes[log.frames[choose(log.frames)]!.offset + 2_000]! ^= 0xff;
    writeFileSync(`${path}-wal`, bytes);
  }

  /** A frame in the middle of a transaction half way through the log. */
  const middle = (frames: readonly { commit: number }[]): number => {
    for (let at = Math.floor(frames.length / 2); ; at++) {
      if (frames[at]!.commit === 0 && frames[at - 1]!.commit === 0) return at;
    }
  };

  test("is named when it is opened and by doctor, and nothing of it is thrown away", async () => {
    const path = killed();
    damageFrame(path, middle);
    const log = readFileSync(`${path}-wal`);
    await assert.rejects(openMemory({ path, configFile: false }), (error) => {
      assert.ok(StrataError.isInstance(error));
      assert.equal(error.code, "DATABASE_CORRUPT");
      assert.match(error.message, /write-ahead log/);
      return true;
    });
    const { problems } = await diagnose({ path, configFile: false });
    assert.ok(
      problems.some(({ code, message }) => code === "DATABASE_CORRUPT" && /write-ahead/.test(message)),
    );
    assert.deepEqual(readFileSync(`${path}-wal`), log);
  });

  test("gives back what stands behind the damage, where SQLite stops before it", async () => {
    const path = killed();
    damageFrame(path, middle);
    const alone = join(folder, "alone.db");
    for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, alone + suffix);
    const database = new DatabaseSync(alone);
    const reached = Number(database.prepare("select count(*) as count from memory").get()?.["count"]);
    database.close();
    const report = await repairMemory({ path, configFile: false });
    assert.ok(report.logPages > 0);
    assert.ok(report.memories > reached, `${report.memories} against ${reached}`);
    const found = await readAll(report.path);
    for (const memory of found.values()) assert.equal(memory.content, `text ${memory.id.slice(1)}`);
    const names = new Set(report.lost.map(({ id }) => id));
    for (let at = 0; at < 60; at++) assert.ok(found.has(`default/m${at}`) || names.has(`m${at}`), `m${at}`);
  });

  test("whose last write was never finished is not damaged", async () => {
    const path = killed();
    const log = readFileSync(`${path}-wal`);
    writeFileSync(`${path}-wal`, log.subarray(0, log.length - 2_000));
    await using memory = await openMemory({ path, configFile: false });
    assert.ok((await memory.stats()).memories >= 59);
  });
});

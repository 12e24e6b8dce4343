import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { v7 as uuidv7 } from "uuid";
import { StrataError } from "../../src/contract/errors.ts";
import { type Tier, tiers } from "../../src/contract/tier.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import type { Command, Line, OwnedMemory, Question, Write } from "./rig-lines.ts";
import {
  contentOf,
  documentText,
  markerOf,
  namespaces,
  openOptions,
  seededRandom,
  seedOf,
  tagsOf,
  tierTable,
} from "./rig-texts.ts";

/**
 * One process of the fault rig: stores, changes, moves, ingests, recalls and forgets without a pause until it is
 * killed. Each write is told on standard output before it begins and when it was acknowledged.
 */
const [path = "", owner = "", seed = "0"] = process.argv.slice(2);
const random = seededRandom(Number(seed) ^ seedOf(owner));
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
const now = (): number => Number(process.hrtime.bigint() / 1_000n);

function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

const memory = await openMemory(openOptions(path));
/** The same file once more, for what the memory does by itself and the rig wants more often. */
const store = await openSqliteStore(path, { tiers: tierTable });
/** Memories that no other process changes, and nothing is under way with. */
const owned: OwnedMemory[] = [];
let writes = 0;
let paused = false;

/** Tells a write, does it, and tells its end. */
async function write(what: Write, act: () => Promise<unknown>): Promise<boolean> {
  const n = ++writes;
  say({ line: "begin", n, at: now(), write: what });
  try {
    const id = await act();
    say({ line: "done", n, at: now(), ...(typeof id === "string" && { id }) });
    return true;
  } catch (error) {
    if (!StrataError.isInstance(error) || error.code === "INTERNAL") {
      say({ line: "broken", what: `${what.kind}: ${error instanceof Error ? error.stack : String(error)}` });
    } else say({ line: "refused", n, at: now(), code: error.code });
    return false;
  }
}

function take(): OwnedMemory | undefined {
  return owned.length < 20 ? undefined : owned.splice(Math.floor(random() * owned.length), 1)[0];
}

async function storeOne(): Promise<void> {
  const id = `${owner}-${writes}`;
  const namespace = pick(namespaces);
  const tier: Tier = random() < 0.8 ? "long_term" : pick(["working", "short_term", "episodic"]);
  const threaded = random() < 0.3;
  const stored = await write({ kind: "store", id, namespace, owner, tier }, async () => {
    await memory.store(contentOf(id, 0), {
      id,
      namespace,
      tier,
      importance: random(),
      tags: tagsOf(owner, 0),
      metadata: { revision: 0 },
      pinned: tier === "long_term" && random() < 0.05,
      ...(threaded && {
        thread: `thread${Math.floor(random() * 3)}`,
        speaker: pick(["Ada", "Ben"]),
        at: new Date(),
      }),
    });
  });
  if (!stored) return;
  if (tier === "long_term") await seesItsWrite(id, namespace);
  owned.push({ id, namespace, owner, revision: 0 });
}

/** A recall that starts after a write resolved in the same process sees it. */
async function seesItsWrite(id: string, namespace: string): Promise<void> {
  if (random() < 0.5) return;
  const { hits } = await memory.search(markerOf(id), { namespace, limit: 3 });
  if (!hits.some((hit) => hit.memory.id === id))
    say({ line: "broken", what: `search misses ${id}, stored before` });
  else say({ line: "read" });
}

async function storeMany(): Promise<void> {
  const namespace = pick(namespaces);
  const first = writes;
  const ids = Array.from({ length: 2 + Math.floor(random() * 30) }, (_, at) => `${owner}-${first}n${at}`);
  const stored = await write({ kind: "store-many", ids, namespace, owner }, async () => {
    await memory.storeMany(
      ids.map((id) => ({ id, content: contentOf(id, 0), tags: tagsOf(owner, 0), metadata: { revision: 0 } })),
      { namespace },
    );
  });
  if (stored) for (const id of ids) owned.push({ id, namespace, owner, revision: 0 });
}

async function storeByKey(): Promise<void> {
  const key = `key${Math.floor(Date.now() / 250)}`;
  const namespace = pick(namespaces);
  await write({ kind: "store-key", key, namespace }, async () => {
    const { id } = await memory.store(contentOf(key, 0), { namespace, idempotencyKey: key });
    return id;
  });
}

async function change(): Promise<void> {
  const own = take();
  if (!own) return storeOne();
  const { id, namespace } = own;
  const revision = own.revision + 1;
  const changed = await write({ kind: "change", id, namespace, owner: own.owner, revision }, async () => {
    await memory.update(
      id,
      { content: contentOf(id, revision), tags: tagsOf(own.owner, revision), metadata: { revision } },
      { namespace },
    );
  });
  if (changed) owned.push({ ...own, revision });
}

async function move(): Promise<void> {
  const own = take();
  if (!own) return storeOne();
  const { id, namespace } = own;
  const tier = pick(tiers);
  const moved = await write({ kind: "move", id, namespace, tier }, async () => {
    await memory.update(id, { tier }, { namespace });
  });
  if (moved) owned.push(own);
}

async function forget(): Promise<void> {
  const own = take();
  if (!own) return storeOne();
  const { id, namespace } = own;
  const erase = random() < 0.1;
  let run: string | undefined;
  const gone = await write({ kind: "forget", id, namespace, erase }, async () => {
    ({ run } = await memory.forget(id, { namespace, erase }));
  });
  if (gone && (await memory.get(id, { namespace }))) {
    say({ line: "broken", what: `${id} is there after forget` });
  }
  if (run === undefined || random() < 0.6) return;
  const { revision } = own;
  const restored = await write({ kind: "restore", id, namespace, revision }, async () => {
    const { undone, skipped } = await store.undo({ namespace }, run!);
    if (undone !== 1)
      throw new Error(`undo of ${run} skipped: ${skipped.map(({ reason }) => reason).join()}`);
  });
  if (restored) owned.push(own);
}

/** Moves up what is more relevant than some figure, or down what is less; now and then takes it back. */
async function consolidate(): Promise<void> {
  const namespace = pick(namespaces);
  const scope = { namespace };
  const up = random() < 0.6;
  const tier = up
    ? pick(["short_term", "episodic", "long_term"] as const)
    : pick(["long_term", "episodic"] as const);
  const to = tiers[tiers.indexOf(tier) + (up ? 1 : -1)]!;
  const day = Math.floor(Date.now() / 86_400_000);
  const { candidates } = await store.candidates(scope, {
    tier,
    side: up ? "at-least" : "below",
    threshold: random(),
    day,
    limit: 12,
  });
  const run = uuidv7();
  const actions = candidates.map(({ id, document, version }) => {
    const kind = up ? ("promote" as const) : ("demote" as const);
    return { kind, id, document, from: tier, to, version, reason: "by the rig" };
  });
  if (actions.length === 0) return;
  let done = false;
  await write({ kind: "consolidate", namespace }, async () => {
    const { outcomes } = await store.apply(scope, run, actions);
    done = outcomes.includes("done");
  });
  if (done && random() < 0.4) await write({ kind: "undo", namespace }, () => store.undo(scope, run));
}

/** Counts up in a memory that all processes count in, never over another's count. */
async function count(): Promise<void> {
  const id = `shared${Math.floor(random() * 6)}`;
  const namespace = namespaces[0];
  const found = await memory.get(id, { namespace });
  if (!found) return;
  const before = Number(found.metadata[owner] ?? 0);
  await write({ kind: "count", id, namespace, owner }, async () => {
    await memory.update(
      id,
      { metadata: { ...found.metadata, [owner]: before + 1 } },
      { namespace, ifVersion: found.version },
    );
  });
}

async function moveShared(): Promise<void> {
  const id = `shared${Math.floor(random() * 6)}`;
  const namespace = namespaces[0];
  const tier = pick(["long_term", "semantic"] as const);
  await write({ kind: "move-shared", id, namespace, tier }, async () => {
    await memory.update(id, { tier }, { namespace });
  });
}

async function ingest(): Promise<void> {
  const namespace = pick(namespaces);
  const uri = `document${Math.floor(random() * 8)}.md`;
  const version = `${owner}v${writes}`;
  await write({ kind: "ingest", uri, namespace, version }, async () => {
    await memory.ingest(
      { name: uri, text: documentText(uri, version) },
      { namespace, chunkSize: 40, overlap: 0 },
    );
  });
}

async function forgetDocument(): Promise<void> {
  const namespace = pick(namespaces);
  const uri = `document${Math.floor(random() * 8)}.md`;
  await write({ kind: "forget-document", uri, namespace }, async () => {
    await memory.forget({ document: uri }, { namespace });
  });
}

async function recall(): Promise<void> {
  const namespace = pick(namespaces);
  const own = owned.length > 0 ? pick(owned) : undefined;
  const text = own ? contentOf(own.id, own.revision).slice(0, 60) : "amber basin";
  await memory[pick(["recall", "search"] as const)](text, { namespace, limit: 5 });
  say({ line: "read" });
}

async function look(): Promise<void> {
  const namespace = pick(namespaces);
  const [list, stats] = [random() < 0.4, random() < 0.5];
  if (list) await memory.list({ namespace, limit: 20, tags: ["revision1"] });
  else if (stats) await memory.stats({ namespace });
  else await write({ kind: "cleanup", namespace }, () => memory.cleanup({ namespace }));
  say({ line: "read" });
}

/** A pass as the memory itself does it; now and then taken back. */
async function pass(): Promise<void> {
  const namespace = pick(namespaces);
  let run: string | undefined;
  await write({ kind: "consolidate", namespace }, async () => {
    ({ run } = await memory.consolidate({ namespace }));
  });
  if (run === undefined || random() < 0.5) return;
  await write({ kind: "undo", namespace }, () => memory.undo(run!, { namespace }));
}

const deeds: readonly (readonly [share: number, deed: () => Promise<void>])[] = [
  [24, storeOne],
  [5, storeMany],
  [6, storeByKey],
  [16, change],
  [12, move],
  [6, forget],
  [6, count],
  [4, moveShared],
  [4, consolidate],
  [2, pass],
  [6, ingest],
  [1, forgetDocument],
  [10, recall],
  [4, look],
];
const total = deeds.reduce((sum, [share]) => sum + share, 0);

function nextDeed(): () => Promise<void> {
  let at = random() * total;
  for (const [share, deed] of deeds) {
    at -= share;
    if (at < 0) return deed;
  }
  return storeOne;
}

async function answer(questions: readonly Question[]): Promise<void> {
  const answers = [];
  for (const { namespace, verb, text } of questions) {
    const { hits } = await memory[verb](text, { namespace, limit: 10, cache: false, touch: false });
    answers.push(hits.map((hit) => [hit.memory.id, hit.score] as const));
  }
  say({ line: "answers", answers });
}

createInterface(process.stdin).on("line", async (text) => {
  const told = JSON.parse(text) as Command;
  if (told.command === "start") {
    owned.push(...told.owned);
    for (let lane = 0; lane < 2; lane++) void work();
  } else if (told.command === "pause") paused = true;
  else if (told.command === "resume") {
    paused = false;
    wake();
  } else if (told.command === "flush") {
    await memory.flush();
    say({ line: "paused" });
  } else await answer(told.questions);
});
// The rig is gone: so is this process.
process.stdin.on("close", () => process.exit());

let resting = 0;
const rests: (() => void)[] = [];
function wake(): void {
  resting = 0;
  for (const go of rests.splice(0)) go();
}

/** Two of these at once, so that writes of one process meet too. */
async function work(): Promise<never> {
  for (;;) {
    if (paused) {
      if (++resting === 2) say({ line: "paused" });
      await new Promise<void>((resolve) => rests.push(resolve));
    }
    try {
      await nextDeed()();
    } catch (error) {
      // Only reads come here.
      if (!StrataError.isInstance(error) || error.code !== "DATABASE_BUSY") {
        say({
          line: "broken",
          what: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
      }
    }
  }
}

say({ line: "ready" });

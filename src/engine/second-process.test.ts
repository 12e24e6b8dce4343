import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

/** Does in a process of its own what it is told, one thing after the other, and answers when it resolved. */
const program = `
import { openMemory } from ${JSON.stringify(new URL("./open-memory.ts", import.meta.url).href)};
const memory = await openMemory({ path: process.argv[2] });
process.on("message", async ({ verb, words }) => process.send((await memory[verb](...words)) ?? null));
process.on("disconnect", () => memory.close());
process.send("ready");
`;
let folder: string;
let first: Strata;
let other: ChildProcess;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "strata-second-process-"));
  const path = join(folder, "memory.db");
  writeFileSync(join(folder, "other.mjs"), program);
  first = await openMemory({ path });
  other = fork(join(folder, "other.mjs"), [path]);
  await once(other, "message");
});

after(async () => {
  other.disconnect();
  await once(other, "exit");
  await first.close();
  rmSync(folder, { recursive: true });
});

async function inOther<T>(verb: string, ...words: unknown[]): Promise<T> {
  const answer = once(other, "message");
  other.send({ verb, words });
  return (await answer)[0] as T;
}

async function found(question: string): Promise<(string | undefined)[]> {
  const { hits } = await first.recall(question, { minScore: 0.9 });
  return hits.map(({ memory }) => memory.content);
}

test("what another process stored, changed and forgot is recalled so by the next call, kept answers included", async () => {
  await first.store("the kettle is in the kitchen");
  for (let round = 0; round < 20; round++) {
    const text = `heron number ${round}x stands in the reeds`;
    const question = `heron number ${round}x`;
    // An answer that is kept, and an index that has followed: both must notice.
    assert.deepEqual(await found(question), []);
    const { id } = await inOther<{ id: string }>("store", text);
    assert.deepEqual(await found(question), [text]);
    assert.equal((await first.search(`${round}x`)).hits[0]?.memory.id, id);
    const changed = `owl number ${round}x sits in the barn`;
    await inOther("update", id, { content: changed });
    assert.deepEqual(await found(`owl number ${round}x`), [changed]);
    await inOther("forget", [id]);
    assert.deepEqual(await found(`owl number ${round}x`), []);
    assert.deepEqual((await first.search(`${round}x`)).hits, []);
  }
});

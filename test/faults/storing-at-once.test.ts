import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openMemory } from "../../src/engine/open-memory.ts";

const program = fileURLToPath(new URL("repeating-process.ts", import.meta.url));
const rounds = 40;

interface Answer {
  readonly id: string;
  readonly outcome: "stored" | "existing";
}

async function answerOf(child: ChildProcess): Promise<Answer> {
  return (await once(child, "message"))[0] as Answer;
}

test("two processes that store the same text at once leave one memory, used once more", async () => {
  const folder = mkdtempSync(join(tmpdir(), "strata-at-once-"));
  const path = join(folder, "memory.db");
  const children = [0, 1].map(() => fork(program, [path]));
  try {
    await Promise.all(children.map(answerOf));
    const ids = new Set<string>();
    for (let round = 0; round < rounds; round++) {
      const answers = children.map(answerOf);
      for (const child of children) child.send(`heron number ${round} stands in the reeds`);
      const [one, other] = (await Promise.all(answers)) as [Answer, Answer];
      assert.equal(one.id, other.id);
      assert.deepEqual([one.outcome, other.outcome].toSorted(), ["existing", "stored"]);
      ids.add(one.id);
    }
    await using memory = await openMemory({ path, configFile: false });
    const { memories, repeated } = await memory.stats();
    assert.deepEqual([ids.size, memories, repeated], [rounds, rounds, rounds]);
    const { memories: listed } = await memory.list({ limit: rounds });
    assert.ok(listed.every(({ accessCount }) => accessCount === 1));
  } finally {
    await Promise.all(
      children.map(async (child) => {
        if (child.connected) child.disconnect();
        if (child.exitCode === null) await once(child, "exit");
      }),
    );
    rmSync(folder, { recursive: true });
  }
});

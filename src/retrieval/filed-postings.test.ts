import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { PartFile, PostingFiles } from "./part-file.ts";
import { Postings } from "./postings.ts";
import type { PostingList, Work } from "./sealed-postings.ts";
import { SnapshotFolder } from "./snapshot-folder.ts";

const path = mkdtempSync(join(tmpdir(), "strata-filed-"));
const folder = new SnapshotFolder(path);
const files: PostingFiles = { open: () => folder.openScratch(), cacheBytes: 4_096 };

after(() => rmSync(path, { recursive: true }));

async function run<T>(work: Work<T>): Promise<T> {
  let { done, value } = work.next();
  while (!done) {
    await (value as Promise<unknown> | undefined);
    ({ done, value } = work.next());
  }
  return value as T;
}

/** What `ask` gives once all it asks for was read. */
async function asked<T>(postings: Postings, ask: () => T): Promise<T> {
  for (;;) {
    postings.onDisk?.begin();
    const answer = ask();
    if (!postings.onDisk?.lacking) {
      postings.onDisk?.settle();
      assert.deepEqual(ask(), answer);
      return answer;
    }
    await postings.onDisk?.fetch();
  }
}

function entries(lists: readonly PostingList[]): [slot: number, count: number][] {
  return lists.flatMap(({ slots, counts, from, to }) =>
    Array.from({ length: to - from }, (_, i): [number, number] => [slots[from + i]!, counts[from + i]!]),
  );
}

test("a term's postings are the same from a file as from memory", async () => {
  const postings = new Postings([], files);
  for (let slot = 0; slot < 30; slot++) postings.add(slot, slot % 3 === 0 ? "tea" : "coffee", slot % 2 === 1);
  postings.seal();
  const before = entries(postings.of("tea"));
  await run(postings.file());
  postings.add(30, "tea", false);
  assert.deepEqual(await asked(postings, () => entries(postings.of("tea"))), [...before, [30, 1]]);
  assert.deepEqual(await asked(postings, () => postings.sizeOf("coffee")), 20);
  assert.deepEqual(await asked(postings, () => postings.of("water")), []);
  postings.close();
});

test("postings in files answer as those in memory, however they were sealed, merged, filed and renumbered", async () => {
  const letter = fc.constantFrom("a", "b", "é", "中", "\u{1f600}");
  const term = fc.oneof(
    fc.string({ unit: letter, minLength: 1, maxLength: 4 }),
    fc.integer({ max: 400 }).map(String),
  );
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.array(fc.tuple(term, fc.boolean()), { maxLength: 30 }) },
    { weight: 3, arbitrary: fc.constantFrom("seal", "merge", "file") },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), term, async (steps, prefix) => {
      let [filed, plain] = [new Postings([], files), new Postings()];
      const terms = new Set<string>();
      let slot = 0;
      for (const each of steps) {
        if (Array.isArray(each)) {
          for (const [name, inContext] of each) {
            terms.add(name);
            filed.add(slot, name, inContext);
            plain.add(slot, name, inContext);
          }
          slot++;
        } else if (each === "seal") filed.seal();
        else if (each === "merge") await run(filed.merge());
        else if (each === "file") await run(filed.file());
        else {
          const slotNow = new Int32Array(slot).fill(-1);
          let kept = 0;
          for (let i = 0; i < slot; i++) if (i % (each + 1) !== 0) slotNow[i] = kept++;
          const renumbered = async (postings: Postings): Promise<Postings> => {
            postings.seal();
            const next = new Postings([await run(postings.renumbered(slotNow))], files);
            postings.close();
            return next;
          };
          [filed, plain] = [await renumbered(filed), await renumbered(plain)];
          slot = kept;
        }
      }
      plain.seal();
      for (const name of terms) {
        assert.deepEqual(await asked(filed, () => entries(filed.of(name))), entries(plain.of(name)), name);
      }
      assert.deepEqual(
        await asked(filed, () => filed.startingWith(prefix.slice(0, 1), 20)),
        plain.startingWith(prefix.slice(0, 1), 20),
      );
      filed.close();
    }),
    { numRuns: 60 },
  );
});

test("long lists and many terms cross the bounds of what is read and written at once", async () => {
  const [size, words] = [80_000, 70_000];
  const whole = new Postings();
  for (let slot = 0; slot < 3 * size; slot++) {
    for (const term of ["common", `w${(slot * 7) % words}`]) whole.add(slot, term, false);
  }
  whole.seal();
  const filed = new Postings([], { ...files, cacheBytes: 2 ** 17 });
  for (let slot = 0; slot < 3 * size; slot++) {
    for (const term of ["common", `w${(slot * 7) % words}`]) filed.add(slot, term, false);
    if (slot % size !== size - 1) continue;
    filed.seal();
    await run(filed.file());
  }
  assert.ok(filed.sealed.length <= 2, "parts of like size become one");
  for (const term of ["common", "w0", "w127", "w128", "w69999", "w35000"]) {
    assert.deepEqual(await asked(filed, () => entries(filed.of(term))), entries(whole.of(term)), term);
  }
  assert.deepEqual(await asked(filed, () => filed.startingWith("w6999", 5)), whole.startingWith("w6999", 5));
  filed.onDisk?.giveBack();
  assert.ok(filed.bytes < whole.bytes / 4, `${filed.bytes} of ${whole.bytes}`);
  filed.close();
});

test("what is read for a question leaves memory with it, but for a cache within its bound", async () => {
  const postings = new Postings([], files);
  for (let slot = 0; slot < 5_000; slot++) {
    for (const term of ["common", "usual", `w${slot % 100}`]) postings.add(slot, term, false);
  }
  postings.seal();
  await run(postings.file());
  const empty = postings.bytes;
  await asked(postings, () => ["common", "usual"].map((term) => entries(postings.of(term))));
  assert.ok(postings.bytes >= empty + 2 * 5_000 * 6);
  postings.onDisk?.giveBack();
  assert.ok(postings.bytes <= empty + files.cacheBytes);
  postings.close();
});

test("asking for what was not read is an error, never an empty answer", async () => {
  const postings = new Postings([], files);
  postings.add(0, "tea", false);
  postings.seal();
  await run(postings.file());
  assert.throws(() => postings.of("tea"), { code: "INTERNAL" });
  await asked(postings, () => postings.of("coffee"));
  assert.throws(() => postings.of("tea"), { code: "INTERNAL" });
  postings.close();
});

test("a file that cannot be written leaves all in memory", async () => {
  const broken: PartFile = {
    read: async () => {},
    write: async () => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    },
    close: async () => {},
  };
  const postings = new Postings([], { ...files, open: async () => broken });
  postings.add(0, "tea", false);
  postings.seal();
  const work = postings.file();
  work.next();
  await work.next().value;
  let { value } = work.next();
  for (;;) {
    try {
      await value;
    } catch (error) {
      assert.throws(() => work.throw(error), { code: "ENOSPC" });
      break;
    }
    ({ value } = work.next());
  }
  assert.equal(postings.canFile, false);
  assert.deepEqual(entries(postings.of("tea")), [[0, 1]]);
});

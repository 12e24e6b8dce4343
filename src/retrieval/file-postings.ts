import { type FiledPart, layOut, type PartColumn, type PartLayout, partColumns } from "./filed-part.ts";
import type { PartFile } from "./part-file.ts";
import { PostingOutput } from "./posting-output.ts";
import { type PostingRun, PostingSource } from "./posting-source.ts";
import type { Work } from "./sealed-postings.ts";

/** Postings copied before others run: a millisecond or two. */
const copiedAtOnce = 65_536;

/**
 * Writes runs as one part into a new file, reading those in files on the way: memory holds a slice of each column.
 * Slots of a run come after those of the run before.
 * @param key Tells the part from others.
 * @param slotNow The slot that each slot becomes, ascending as they do, or -1 for one that leaves; a term that nothing
 *   holds any more leaves no trace. Absent: they stay.
 */
export function* filePostings(
  runs: readonly PostingRun[],
  open: () => Promise<PartFile>,
  key: string,
  slotNow?: Int32Array,
): Work<FiledPart> {
  yield;
  let file: PartFile | undefined;
  let done = false;
  try {
    yield open().then((opened) => {
      // Given up meanwhile: nobody else closes it.
      if (done) void opened.close();
      file = opened;
    });
    const sources = runs.map((run) => new PostingSource(run));
    const sum = (column: PartColumn): number =>
      sources.reduce((total, { lengths }) => total + lengths[column], 0);
    const most = Object.fromEntries(
      partColumns.map((column) => [column, sum(column)]),
    ) as PartLayout["lengths"];
    const { places } = layOut(most);
    const output = new PostingOutput(file!, places);
    for (const source of sources) yield* source.begin();
    yield* mergeInto(output, sources, slotNow);
    const part = yield* output.end(key);
    done = true;
    return part;
  } finally {
    if (!done) {
      done = true;
      void file?.close().catch(() => {});
    }
  }
}

function* mergeInto(
  output: PostingOutput,
  sources: readonly PostingSource[],
  slotNow: Int32Array | undefined,
): Work {
  let copied = 0;
  for (;;) {
    let least: PostingSource | undefined;
    for (const source of sources) if (!source.ended && (!least || source.compare(least) < 0)) least = source;
    if (!least) return;
    const same = sources.filter(
      (source) => !source.ended && (source === least || source.compare(least) === 0),
    );
    const before = output.entries;
    for (const source of same) {
      copied += source.entries + 8;
      yield* slotNow ? renumberEntries(source, output, slotNow) : copyEntries(source, output);
    }
    if (output.entries > before) yield* output.addTerm(least);
    for (const source of same) yield* source.next();
    if (copied < copiedAtOnce) continue;
    copied = 0;
    yield;
  }
}

function* copyEntries(source: PostingSource, output: PostingOutput): Work {
  for (let left = source.entries; left > 0; ) {
    if (source.slots.left === 0) yield* source.slots.ensure(1);
    if (source.counts.left === 0) yield* source.counts.ensure(1);
    const size = Math.min(left, source.slots.left, source.counts.left, output.slots.room, output.counts.room);
    output.slots.add(source.slots.take(size));
    output.counts.add(source.counts.take(size));
    if (output.slots.room === 0) yield* output.slots.flush();
    if (output.counts.room === 0) yield* output.counts.flush();
    left -= size;
  }
}

function* renumberEntries(source: PostingSource, output: PostingOutput, slotNow: Int32Array): Work {
  for (let left = source.entries; left > 0; left--) {
    if (source.slots.left === 0) yield* source.slots.ensure(1);
    if (source.counts.left === 0) yield* source.counts.ensure(1);
    const slot = slotNow[source.slots.take1()]!;
    const count = source.counts.take1();
    if (slot < 0) continue;
    output.slots.add1(slot);
    output.counts.add1(count);
    if (output.slots.room === 0) yield* output.slots.flush();
    if (output.counts.room === 0) yield* output.counts.flush();
  }
}

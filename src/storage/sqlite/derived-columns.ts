import { fadedDay, relevanceKeys, utcDay } from "../../contract/relevance.ts";
import type { WaitOptions } from "./connection.ts";
import { type KeywordFields, replaceWords } from "./keyword-rows.ts";
import { joinEntry, parseTags } from "./memory-rows.ts";
import { type StoreContext, WriteStep } from "./write-step.ts";

const sliceSize = 256;

/**
 * Computes again, in slices, what is stored but follows from options: keys when the decay rate changed, the full text
 * when the tokenizer did. A process that dies on the way leaves it to the next one.
 */
export async function refreshDerived(context: StoreContext, options?: WaitOptions): Promise<void> {
  await refreshSetting(context, "decay_rate", context.decayRate, rekeySlice, options);
  await refreshSetting(context, "analyzer", context.analyzer.version, reindexSlice, options);
}

type Slice = (context: StoreContext, after: number) => number | undefined;

async function refreshSetting(
  context: StoreContext,
  name: string,
  value: string | number,
  slice: Slice,
  options?: WaitOptions,
): Promise<void> {
  const db = context.connection;
  const stored = db.get<[string | number]>("select value from setting where name = ?", name)?.[0];
  if (stored === value) return;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const from: number = after;
    await db.write(() => {
      after = slice(context, from);
    }, options);
    await new Promise(setImmediate);
  }
  await db.write(() => db.run("insert or replace into setting values (?, ?)", name, value), options);
}

function rekeySlice(context: StoreContext, after: number): number | undefined {
  const db = context.connection;
  const rows = db.all<[number, number, number, number, number]>(
    `select e.id, e.importance, e.access_count, e.last_used_at, n.faded_on from entry e
     cross join namespace n on n.id = e.namespace where e.id > ? order by e.id limit ${sliceSize}`,
    after,
  );
  for (const [id, importance, accessCount, lastUsedAt, fadedOn] of rows) {
    const { b, k } = relevanceKeys({ importance, accessCount, lastUsedAt }, context.decayRate);
    const faded = utcDay(lastUsedAt) <= fadedDay(fadedOn, context.decayRate) ? 1 : 0;
    db.run("update entry set b = ?, k = ?, faded = ? where id = ?", b, k, faded, id);
  }
  return rows.length < sliceSize ? undefined : rows.at(-1)![0];
}

type WordRow = readonly [
  row: number,
  namespace: string,
  content: string,
  happenedAt: number,
  at: number | null,
  thread: string | null,
  speaker: string | null,
  title: string | null,
  headings: string | null,
  chunk: number | null,
];

function reindexSlice(context: StoreContext, after: number): number | undefined {
  const rows = context.connection.all<WordRow>(
    `select m.row, n.name, m.content, m.happened_at, m.at, m.thread, m.speaker, d.title, m.headings, m.chunk
     from memory m cross join namespace n on n.id = m.namespace ${joinEntry}
     where m.row > ? order by m.row limit ${sliceSize}`,
    after,
  );
  for (const [row, namespace, content, happenedAt, at, thread, speaker, title, headings, chunk] of rows) {
    const fields: KeywordFields = {
      row,
      content,
      happenedAt,
      at: at ?? undefined,
      thread: thread ?? undefined,
      speaker: speaker ?? undefined,
      ...(chunk === null
        ? {}
        : { source: { ...(title === null ? {} : { title }), headings: parseTags(headings) } }),
    };
    replaceWords(new WriteStep(context, namespace), fields);
  }
  return rows.length < sliceSize ? undefined : rows.at(-1)![0];
}

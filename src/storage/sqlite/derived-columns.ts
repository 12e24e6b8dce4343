import { fadedDay, relevanceKeys, utcDay } from "../../contract/relevance.ts";
import type { WaitOptions } from "./connection.ts";
import type { StoreContext } from "./write-step.ts";

const sliceSize = 256;

/**
 * Computes the keys of relevance again, in slices, when the decay rate they follow from changed. A process that dies on
 * the way leaves it to the next one.
 */
export async function refreshDerived(context: StoreContext, options?: WaitOptions): Promise<void> {
  const { connection: db, decayRate } = context;
  const stored = db.get<[number]>("select value from setting where name = 'decay_rate'")?.[0];
  if (stored === decayRate) return;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const from: number = after;
    await db.write(() => {
      after = rekeySlice(context, from);
    }, options);
    await new Promise(setImmediate);
  }
  await db.write(() => db.run("insert or replace into setting values ('decay_rate', ?)", decayRate), options);
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

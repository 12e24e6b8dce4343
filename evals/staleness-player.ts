import { type EmbeddingModel, openMemory, type Strata } from "../src/index.ts";

/** One thing done to a memory; `key` names one of its memories. */
export interface Play {
  readonly kind: "read" | "readAll" | "write" | "forget" | "invalidate" | "flush";
  readonly namespace: string;
  readonly key: number;
  /** Of a write: the version it leaves behind, from 1. */
  readonly version: number;
  /** Of a read: abort it after so many turns of the event loop. */
  readonly abortAfter?: number | undefined;
}

/** What a read saw: versions by key, 0 where there is no such memory; undefined when it was aborted. */
export type Seen = readonly (readonly [key: number, version: number])[] | undefined;

/** Keys of one namespace. */
export const keys = 6;

/** Costs nothing, so that the steps are spent on the cache; equal words are near each other. */
const model: EmbeddingModel = {
  id: "letters@1",
  dimensions: 8,
  maxBatchSize: 64,
  cheap: true,
  doEmbed: (texts) => ({ vectors: texts.map(lettersOf) }),
};

function lettersOf(text: string): Float32Array {
  const vector = new Float32Array(8).fill(0.1);
  for (let at = 0; at < text.length; at++) vector[text.charCodeAt(at) % 8]! += 1;
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** Opens the memory as every player does. */
export function openPlayed(path: string): Promise<Strata> {
  return openMemory({ path, model, namespace: "one", queryCache: { prefetch: true } });
}

/** Does one thing, and tells what it saw. */
export async function play(memory: Strata, one: Play): Promise<Seen> {
  const { kind, namespace, key, version } = one;
  switch (kind) {
    case "read":
      return read(memory, one, { tags: [`key${key}`] }, [key]);
    case "readAll":
      return read(
        memory,
        one,
        {},
        Array.from({ length: keys }, (_, at) => at),
      );
    case "write":
      await write(memory, namespace, key, version);
      return [];
    case "forget":
      await memory.forget({ tags: [`key${key}`] }, { namespace });
      return [];
    case "invalidate":
      memory.queries.invalidateCache(key % 2 === 0 ? { namespace } : undefined);
      return [];
    case "flush":
      await memory.flush();
      return [];
  }
}

async function write(memory: Strata, namespace: string, key: number, version: number): Promise<void> {
  const content = `key${key} has version ${version}`;
  const id = `id${key}`;
  if (await memory.get(id, { namespace })) await memory.update(id, { content }, { namespace });
  else await memory.store(content, { id, namespace, tags: [`key${key}`] });
}

async function read(
  memory: Strata,
  { namespace, abortAfter }: Play,
  filter: { readonly tags?: readonly string[] },
  wanted: readonly number[],
): Promise<Seen> {
  const controller = new AbortController();
  const options = { ...filter, namespace, limit: keys, signal: controller.signal };
  const answer = memory.recall("which version?", options).catch((error: unknown) => {
    if (error !== controller.signal.reason) throw error;
    return undefined;
  });
  for (let turn = 0; turn < (abortAfter ?? 0); turn++) await new Promise((resolve) => setImmediate(resolve));
  if (abortAfter !== undefined) controller.abort(new Error("enough"));
  const versions = (await answer)?.hits.map(
    (hit) => /^key(\d+) has version (\d+)$/.exec(hit.memory.content)!,
  );
  return (
    versions &&
    wanted.map((key) => [key, Number(versions.find((match) => Number(match[1]) === key)?.[2] ?? 0)])
  );
}

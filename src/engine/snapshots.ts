import { isDeepStrictEqual } from "node:util";
import { v7 as uuidv7 } from "uuid";
import type { RestoreAction } from "../contract/consolidation.ts";
import type { Memory } from "../contract/memory.ts";
import type { Evicted } from "../contract/memory-store.ts";
import type { OperationName } from "../contract/operations.ts";
import type { Scope } from "../contract/scope.ts";
import type { SnapshotInfo, SnapshotItem } from "../contract/snapshot.ts";
import { checkFlag, checkName, checkOptions } from "./check-values.ts";
import { memoryPages } from "./export-memories.ts";
import { checkFilter, type FilterOptions, filterNames } from "./filter-options.ts";
import type { Parts } from "./parts.ts";
import type { CallOptions } from "./verb-options.ts";

/** Items read in one step. */
const pageSize = 128;

const callNames = ["namespace", "signal"] as const;

/** What a memory says, as against how it lives: what a snapshot compares and brings back. */
const comparedFields: readonly SnapshotField[] = [
  "content",
  "importance",
  "tags",
  "metadata",
  "at",
  "thread",
  "speaker",
  "pinned",
];

/** A field that a snapshot compares. */
export type SnapshotField =
  | "content"
  | "importance"
  | "tags"
  | "metadata"
  | "at"
  | "thread"
  | "speaker"
  | "pinned";

export interface SaveSnapshotOptions extends FilterOptions, CallOptions {
  /** Put it in the place of one of that name instead of refusing with ALREADY_EXISTS. Default false. */
  readonly replace?: boolean | undefined;
}

export interface LoadSnapshotOptions extends CallOptions {
  /** Only tell what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What loading a snapshot did, or with `dryRun` would do. */
export interface SnapshotLoad {
  readonly name: string;
  readonly dryRun: boolean;
  /** Run that `undo` takes back; absent when nothing had to be done. */
  readonly run?: string;
  readonly unchanged: number;
  /** What was changed back, and what came back after it had left. */
  readonly changed: readonly SnapshotChange[];
  readonly restored: readonly string[];
  /** Ids of what was changed by another call meanwhile, and so left as it is. */
  readonly skipped: readonly string[];
  readonly evicted: readonly Evicted[];
}

export interface DiffSnapshotOptions extends CallOptions {
  /** Compare with this snapshot instead of what is there now. */
  readonly against?: string | undefined;
}

/** How a namespace, or a later snapshot, differs from a snapshot. */
export interface SnapshotDiff {
  readonly name: string;
  /** The snapshot it was compared with; absent: what is there now. */
  readonly against?: string;
  readonly unchanged: number;
  readonly changed: readonly SnapshotChange[];
  /** Ids of what was there and is no more. */
  readonly left: readonly string[];
  /** Ids of what was not there; compared with now, of what the snapshot's own filter would choose today. */
  readonly added: readonly string[];
}

export interface SnapshotChange {
  readonly id: string;
  readonly fields: readonly SnapshotField[];
}

/** How the verbs of a memory run: counted, published, refused once it is closed. */
export interface VerbHost {
  run<T>(operation: OperationName, call: () => Promise<T>): Promise<T>;
  scope(namespace: string | undefined): Scope;
}

/**
 * Named states of memories: a project's context before a long task, a session to go back to. A snapshot holds memories
 * that were stored one by one; documents are brought back by ingesting them. It holds copies, so forgetting a memory leaves them,
 * and `erase` takes them too.
 */
export class Snapshots {
  readonly #parts: Parts;
  readonly #host: VerbHost;

  /** @internal */
  constructor(parts: Parts, host: VerbHost) {
    this.#parts = parts;
    this.#host = host;
  }

  /**
   * Saves the memories that match, or all, under a name.
   * @throws ALREADY_EXISTS, LIMIT_REACHED
   */
  save(name: string, options?: SaveSnapshotOptions): Promise<SnapshotInfo> {
    return this.#host.run("snapshot", async () => {
      const checked = checkOptions(options, [...filterNames, ...callNames, "replace"], "snapshots.save");
      const replace = checked.replace !== undefined && checkFlag(checked.replace, "replace");
      await this.#parts.uses.flush();
      const scope = this.#host.scope(checked.namespace);
      return this.#parts.store.saveSnapshot(scope, checkName(name, "name"), checkFilter(checked), {
        replace,
        signal: checked.signal,
      });
    });
  }

  /** The namespace's snapshots, by name. */
  list(options?: CallOptions): Promise<readonly SnapshotInfo[]> {
    return this.#host.run("snapshot", async () => {
      const { namespace } = checkOptions(options, callNames, "snapshots.list");
      return this.#parts.store.snapshots(this.#host.scope(namespace));
    });
  }

  /**
   * What changed, left and was added since; compares what memories say, not their tiers and uses.
   * @throws NOT_FOUND
   */
  diff(name: string, options?: DiffSnapshotOptions): Promise<SnapshotDiff> {
    return this.#host.run("snapshot", async () => {
      const { namespace, signal, against } = checkOptions(
        options,
        [...callNames, "against"],
        "snapshots.diff",
      );
      const scope = this.#host.scope(namespace);
      const first = checkName(name, "name");
      const second = against === undefined ? undefined : checkName(against, "against");
      const later = second === undefined ? undefined : await this.#itemsOf(scope, second, signal);
      const seen = new Set<string>();
      const changed: SnapshotChange[] = [];
      const left: string[] = [];
      for await (const items of this.#pages(scope, first, signal)) {
        const now = await this.#counterparts(scope, items, later);
        for (const [index, { memory }] of items.entries()) {
          seen.add(memory.id);
          const current = now[index];
          const fields = current === undefined ? undefined : changedFields(memory, current);
          if (fields === undefined) left.push(memory.id);
          else if (fields.length > 0) changed.push({ id: memory.id, fields });
        }
      }
      const added: string[] = [];
      for await (const ids of later ? [[...later.keys()]] : this.#chosenNow(scope, first, signal))
        added.push(...ids.filter((id) => !seen.has(id)));
      const unchanged = seen.size - changed.length - left.length;
      return {
        name: first,
        ...(second !== undefined && { against: second }),
        unchanged,
        changed,
        left,
        added,
      };
    });
  }

  /**
   * Brings back what changed or left since, as one run that `undo` takes back. What was added since stays. A memory that
   * came back lives on from now, in the tier it had; one that is there keeps its tier and its uses.
   * @throws NOT_FOUND
   */
  load(name: string, options?: LoadSnapshotOptions): Promise<SnapshotLoad> {
    return this.#host.run("snapshot", async () => {
      const checked = checkOptions(options, [...callNames, "dryRun"], "snapshots.load");
      const { namespace, signal } = checked;
      const dryRun = checked.dryRun !== undefined && checkFlag(checked.dryRun, "dryRun");
      const scope = this.#host.scope(namespace);
      const run = uuidv7();
      let unchanged = 0;
      const changed: SnapshotChange[] = [];
      const restored: string[] = [];
      const skipped: string[] = [];
      const evicted: Evicted[] = [];
      for await (const items of this.#pages(scope, checkName(name, "name"), signal)) {
        const now = await this.#counterparts(scope, items, undefined);
        const actions: RestoreAction[] = [];
        for (const [index, { memory, vector }] of items.entries()) {
          const current = now[index];
          const fields = current && changedFields(memory, current);
          if (fields?.length === 0) unchanged++;
          else {
            if (fields) changed.push({ id: memory.id, fields });
            else restored.push(memory.id);
            actions.push({
              kind: "restore",
              memory,
              vector,
              version: current?.version,
              reason: reasonOf(name, fields),
            });
          }
        }
        if (dryRun || actions.length === 0) continue;
        const result = await this.#parts.store.apply(scope, run, actions, { signal });
        evicted.push(...result.evicted);
        for (const [index, outcome] of result.outcomes.entries())
          if (outcome !== "done") skipped.push(actions[index]!.memory.id);
      }
      const isLeft = new Set(skipped);
      const done = changed.length + restored.length - skipped.length;
      return {
        name,
        dryRun,
        ...(!dryRun && done > 0 && { run }),
        unchanged,
        changed: changed.filter(({ id }) => !isLeft.has(id)),
        restored: restored.filter((id) => !isLeft.has(id)),
        skipped,
        evicted,
      };
    });
  }

  /** @throws NOT_FOUND */
  delete(name: string, options?: CallOptions): Promise<void> {
    return this.#host.run("snapshot", async () => {
      const { namespace, signal } = checkOptions(options, callNames, "snapshots.delete");
      await this.#parts.store.deleteSnapshot(this.#host.scope(namespace), checkName(name, "name"), {
        signal,
      });
    });
  }

  async *#pages(
    scope: Scope,
    name: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly SnapshotItem[]> {
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await this.#parts.store.readSnapshot(scope, name, { limit: pageSize, cursor });
      yield page.items;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async #itemsOf(
    scope: Scope,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, Memory>> {
    const items = new Map<string, Memory>();
    for await (const page of this.#pages(scope, name, signal))
      for (const { memory } of page) items.set(memory.id, memory);
    return items;
  }

  async #counterparts(
    scope: Scope,
    items: readonly SnapshotItem[],
    later: ReadonlyMap<string, Memory> | undefined,
  ): Promise<readonly (Memory | undefined)[]> {
    const ids = items.map(({ memory }) => memory.id);
    return later ? ids.map((id) => later.get(id)) : this.#parts.store.get(scope, ids);
  }

  async *#chosenNow(
    scope: Scope,
    name: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly string[]> {
    const info = (await this.#parts.store.snapshots(scope)).find((each) => each.name === name);
    if (info === undefined) return;
    for await (const memories of memoryPages(this.#parts, scope, info.filter, signal))
      yield memories.filter(({ source }) => source === undefined).map(({ id }) => id);
  }
}

function changedFields(before: Memory, now: Memory): readonly SnapshotField[] {
  return comparedFields.filter((field) => !isDeepStrictEqual(before[field], now[field]));
}

function reasonOf(name: string, fields: readonly SnapshotField[] | undefined): string {
  const what = fields ? `${fields.join(", ")} as it was` : "came back";
  return `${what} in the snapshot ${name}`;
}

import { LRUCache } from "lru-cache";
import type { SharedValue } from "./shared-value.ts";

/** What a query is known by. */
export interface QueryName {
  readonly namespace: string;
  readonly key: string;
  readonly tags: readonly string[];
}

/** A result with the time it may be given. */
export interface KeptResult extends QueryName {
  readonly shared: SharedValue;
  /** `shared` is the error that every caller gets. */
  readonly failed: boolean;
  readonly generation: string | undefined;
  /** On the monotonic clock. */
  readonly keptAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** When it stops being true, in milliseconds since 1970; infinite when it does not. */
  readonly expiresAt: number;
  /** Times it was given. */
  uses: number;
}

/** Which queries; every given field must match. */
export interface CacheSelector {
  readonly namespace?: string | undefined;
  readonly key?: string | undefined;
  readonly prefix?: string | undefined;
  readonly tag?: string | undefined;
}

/** Bytes of an entry beside its value and key: the entry, its place in the cache and in its namespace. */
const entryBytes = 400;

/** Results by query: the least recently used leave first. */
export class ResultCache {
  readonly #results: LRUCache<string, KeptResult>;
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #onLeft: (name: string) => void;
  #evictions = 0;

  /** @param onLeft Told the name of each result that leaves or is replaced. */
  constructor(maxEntries: number, maxBytes: number, onLeft: (name: string) => void) {
    this.#onLeft = onLeft;
    this.#results = new LRUCache<string, KeptResult>({
      max: Math.floor(maxEntries),
      maxSize: Math.floor(maxBytes),
      sizeCalculation: ({ shared, tags }, name) =>
        entryBytes + 2 * name.length + tags.reduce((sum, tag) => sum + 32 + 2 * tag.length, 0) + shared.bytes,
      dispose: (result, name, reason) => this.#left(result, name, reason),
    });
  }

  get size(): number {
    return this.#results.size;
  }

  get bytes(): number {
    return this.#results.calculatedSize;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** The result of that name, now the most recently used. */
  get(name: string): KeptResult | undefined {
    return this.#results.get(name);
  }

  /** The result of that name, used as little as before. */
  peek(name: string): KeptResult | undefined {
    return this.#results.peek(name);
  }

  /** False when it is larger than the whole cache. */
  keep(name: string, result: KeptResult): boolean {
    this.#results.set(name, result);
    if (!this.#results.has(name)) return false;
    const names = this.#byNamespace.get(result.namespace);
    if (names) names.add(name);
    else this.#byNamespace.set(result.namespace, new Set([name]));
    return true;
  }

  delete(name: string): boolean {
    return this.#results.delete(name);
  }

  /**
   * Drops what matches. A namespace or a key is found at once, so that each result is dropped at most once for the one
   * time it was kept; a prefix or a tag alone looks at every result.
   * @returns How many.
   */
  deleteMatching(selector: CacheSelector): number {
    const { namespace, key } = selector;
    if (namespace !== undefined && key !== undefined) {
      const name = nameOf(namespace, key);
      const result = this.#results.peek(name);
      return result && matches(selector, result) && this.delete(name) ? 1 : 0;
    }
    const candidates =
      namespace === undefined ? this.#results.keys() : (this.#byNamespace.get(namespace) ?? []);
    const dropped = [...candidates].filter((name) => matches(selector, this.#results.peek(name)!));
    for (const name of dropped) this.#results.delete(name);
    return dropped.length;
  }

  #left(result: KeptResult, name: string, reason: string): void {
    if (reason === "evict") this.#evictions += 1;
    this.#onLeft(name);
    const names = this.#byNamespace.get(result.namespace);
    names?.delete(name);
    if (names?.size === 0) this.#byNamespace.delete(result.namespace);
  }
}

/** One string for namespace and key; no two pairs share one. */
export function nameOf(namespace: string, key: string): string {
  return namespace === "" ? `\0${key}` : `${namespace.length}\0${namespace}${key}`;
}

export function matches({ namespace, key, prefix, tag }: CacheSelector, query: QueryName): boolean {
  return (
    (namespace === undefined || query.namespace === namespace) &&
    (key === undefined || query.key === key) &&
    (prefix === undefined || query.key.startsWith(prefix)) &&
    (tag === undefined || query.tags.includes(tag))
  );
}

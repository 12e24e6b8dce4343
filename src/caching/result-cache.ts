import { LRUCache } from "lru-cache";
import { type GhostDepths, GhostStack, ghostHash } from "../contract/ghost-stack.ts";
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
  /** Of its name, where look-ups are watched. */
  readonly ghost: number;
  readonly bytes: number;
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
  /** Absent while nobody asks how another size would do. */
  #ghosts: GhostStack | undefined;
  #maxBytes: number;
  #evictions = 0;

  /** @param onLeft Told the name of each result that leaves or is replaced. */
  constructor(maxEntries: number, maxBytes: number, onLeft: (name: string) => void) {
    this.#onLeft = onLeft;
    this.#maxBytes = Math.floor(maxBytes);
    this.#results = new LRUCache<string, KeptResult>({
      max: Math.floor(maxEntries),
      // The bound on bytes may change, which this one cannot: it is kept by `#trim`.
      maxSize: Number.MAX_SAFE_INTEGER,
      dispose: (result, name, reason) => this.#left(result, name, reason),
    });
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Keeps to another bound on bytes from now on; what is too much leaves at once. */
  resize(maxBytes: number): void {
    this.#maxBytes = Math.floor(maxBytes);
    this.#trim();
  }

  /** From now on tells which sizes of up to so many bytes would have answered. */
  watchDepths(maxBytes: number): void {
    this.#ghosts = new GhostStack(maxBytes);
  }

  /** Since the last call; undefined while nobody watches. */
  takeDepths(): GhostDepths | undefined {
    return this.#ghosts?.take();
  }

  /** A look-up was answered by the result. */
  answered({ ghost, bytes }: KeptResult): void {
    this.#ghosts?.look(ghost, bytes);
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
  keep(name: string, kept: Omit<KeptResult, "ghost" | "bytes">): boolean {
    const size = sizeOf(name, kept);
    // A result of another state would not have answered.
    const ghost = this.#ghosts === undefined ? 0 : ghostHash(`${kept.generation}\0${name}`);
    this.#ghosts?.look(ghost, size);
    const result: KeptResult = { ...kept, ghost, bytes: size };
    if (size > this.#maxBytes) {
      this.#results.delete(name);
      return false;
    }
    this.#results.set(name, result, { size });
    this.#trim();
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

  #trim(): void {
    while (this.#results.calculatedSize > this.#maxBytes) this.#results.pop();
  }

  #left(result: KeptResult, name: string, reason: string): void {
    if (reason === "evict") this.#evictions += 1;
    this.#onLeft(name);
    const names = this.#byNamespace.get(result.namespace);
    names?.delete(name);
    if (names?.size === 0) this.#byNamespace.delete(result.namespace);
  }
}

function sizeOf(name: string, { shared, tags }: Pick<KeptResult, "shared" | "tags">): number {
  return (
    entryBytes + 2 * name.length + tags.reduce((sum, tag) => sum + 32 + 2 * tag.length, 0) + shared.bytes
  );
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

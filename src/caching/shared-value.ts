/** A result many callers share, and what it costs to keep. */
export interface SharedValue {
  /** Gives the value to one caller, who cannot change it for the others. */
  give(): unknown;
  /** Estimated bytes in memory. */
  readonly bytes: number;
}

/** Bytes of an object's or array's own head, and of one slot in it, in V8 without pointer compression. */
const headBytes = 24;
const slotBytes = 8;

/** What a walk over a value finds. */
interface Walk {
  bytes: number;
  /** Only plain objects, arrays and primitives: freezing them stops every change. */
  plain: boolean;
  readonly seen: Set<object>;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || prototype === Array.prototype;
}

function visit(value: unknown, walk: Walk): void {
  walk.bytes += slotBytes;
  if (typeof value === "string") walk.bytes += headBytes + 2 * value.length;
  if (typeof value === "function") walk.plain = false;
  if (typeof value !== "object" || value === null || walk.seen.has(value)) return;
  walk.seen.add(value);
  walk.bytes += headBytes;
  if (ArrayBuffer.isView(value)) {
    walk.bytes += value.byteLength;
    walk.plain = false;
    return;
  }
  if (!isPlain(value)) walk.plain = false;
  if (value instanceof Map) for (const entry of value) visit(entry, walk);
  else if (value instanceof Set) for (const entry of value) visit(entry, walk);
  else for (const key of Reflect.ownKeys(value)) visit(Reflect.get(value, key), walk);
}

/**
 * Makes a value safe to share. Plain data (objects, arrays, primitives) is frozen deeply, once, and every caller gets
 * the same object; anything else (typed arrays, maps, dates, class instances) is copied for each caller by
 * `structuredClone`. What cannot be copied is given as it is, and counted by nobody as isolated.
 */
export function shareValue(value: unknown): SharedValue {
  const walk: Walk = { bytes: 0, plain: true, seen: new Set() };
  visit(value, walk);
  if (walk.plain) {
    for (const part of walk.seen) Object.freeze(part);
    return { give: () => value, bytes: walk.bytes };
  }
  const kept: unknown = structuredClone(value);
  return { give: () => structuredClone(kept), bytes: walk.bytes };
}

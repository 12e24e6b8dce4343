/** A result many callers share, and what it costs to keep. */
export interface SharedValue {
  /** Gives the value to one caller, who cannot change it for the others. */
  give(): unknown;
  /** Estimated bytes in memory. */
  readonly bytes: number;
  /** False: it can be neither frozen nor copied, so it is handed to those who wait for it and never kept. */
  readonly isolated: boolean;
}

/** Bytes of an object's or array's own head, and of one slot in it, in V8 without pointer compression. */
const headBytes = 24;
const slotBytes = 8;

/** What a walk over a value finds. */
interface Walk {
  bytes: number;
  /** Only plain objects, arrays and primitives: freezing them stops every change. */
  freezable: boolean;
  /** Beside those only what {@link copyOf} knows. */
  copyable: boolean;
  readonly seen: Set<object>;
  /** A list instead of recursion: depth is the caller's choice, the stack is not. */
  readonly waiting: unknown[];
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function bytesOf(value: object): number | undefined {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
  return value instanceof Date ? slotBytes : undefined;
}

function walkOver(root: unknown): Walk {
  const walk: Walk = { bytes: 0, freezable: true, copyable: true, seen: new Set(), waiting: [root] };
  while (walk.waiting.length > 0) visit(walk.waiting.pop(), walk);
  return walk;
}

function visit(value: unknown, walk: Walk): void {
  const { waiting } = walk;
  walk.bytes += slotBytes;
  if (typeof value === "string") walk.bytes += headBytes + 2 * value.length;
  if (typeof value === "function") walk.copyable = false;
  if (typeof value !== "object" || value === null || walk.seen.has(value)) return;
  walk.seen.add(value);
  walk.bytes += headBytes;
  if (Array.isArray(value)) {
    // By index and, below, by `for in`: half the time that a list of keys takes, and a result is walked on each miss.
    for (let at = 0; at < value.length; at++) waiting.push(value[at]);
    return;
  }
  if (isPlain(value)) {
    for (const key in value) waiting.push(Reflect.get(value, key));
    for (const key of Object.getOwnPropertySymbols(value)) waiting.push(Reflect.get(value, key));
    return;
  }
  walk.freezable = false;
  const own = bytesOf(value);
  if (own !== undefined) walk.bytes += own;
  else if (value instanceof Map) for (const [key, item] of value) waiting.push(key, item);
  else if (value instanceof Set) waiting.push(...value);
  else walk.copyable = false;
}

/** A copy of plain objects, arrays, maps, sets, dates and binary data; shared and circular parts stay so. */
function copyOf(value: unknown, copies = new Map<object, object>()): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = copies.get(value);
  if (known) return known;
  const copy = emptyCopy(value);
  copies.set(value, copy);
  if (value instanceof Map)
    for (const [key, item] of value)
      (copy as Map<unknown, unknown>).set(copyOf(key, copies), copyOf(item, copies));
  else if (value instanceof Set) for (const item of value) (copy as Set<unknown>).add(copyOf(item, copies));
  else if (Array.isArray(value))
    for (let at = 0; at < value.length; at++) (copy as unknown[])[at] = copyOf(value[at], copies);
  else if (isPlain(value))
    for (const key of Reflect.ownKeys(value)) Reflect.set(copy, key, copyOf(Reflect.get(value, key), copies));
  return copy;
}

function emptyCopy(value: object): object {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof Date) return new Date(value.getTime());
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return structuredClone(value);
  return Object.create(Object.getPrototypeOf(value));
}

/**
 * Makes a value safe to share. Plain data (objects, arrays, primitives) is frozen deeply, once, and every caller gets
 * the same object; an array's own names beside its elements are not looked at. Where maps, sets, dates or binary data are among it, every caller gets a copy. Anything else
 * (functions, instances of classes) can be neither: see {@link SharedValue.isolated}.
 */
export function shareValue(value: unknown): SharedValue {
  const { freezable, copyable, bytes, seen } = walkOver(value);
  if (freezable && copyable) {
    for (const part of seen) Object.freeze(part);
    return { give: () => value, bytes, isolated: true };
  }
  const kept = copyable ? tryCopy(value) : undefined;
  if (!kept) return { give: () => value, bytes, isolated: false };
  return { give: () => copyOf(kept), bytes, isolated: true };
}

/** Undefined when the value is nested deeper than the stack reaches. */
function tryCopy(value: unknown): unknown {
  try {
    return copyOf(value);
  } catch {
    return undefined;
  }
}

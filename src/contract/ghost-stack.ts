/** Parts into which the watched bytes are cut: sizes of a cache whose hits can be told. */
export const ghostParts = 64;

/** What a cache was asked for since it was last told. */
export interface GhostDepths {
  readonly lookups: number;
  /** By part: look-ups that a cache of so many parts would have answered and one of a part less would not. */
  readonly hits: Float64Array;
}

/** Entries that sampling is to leave, where there are so many. */
const enoughEntries = 2_000;
/** Of an entry, roughly: from how many bytes on sampling begins. */
const usualEntryBytes = 2_048;
const leastSampling = 4;
/** Slots of the tree; it is made anew when they are used up. */
const slots = 2 ** 15;

/**
 * Names of what a cache holds and of what it would hold if it were larger (ghost entries), the latest first, with the
 * bytes each takes: from how deep a look-up brings a name up is known which sizes would have answered it (Mattson and
 * others, "Evaluation techniques for storage hierarchies", 1970). Of many names some are looked at, chosen by their hash
 * (SHARDS, Waldspurger and others, FAST 2015). It keeps hashes, never the names themselves.
 */
export class GhostStack {
  readonly #partBytes: number;
  readonly #maxBytes: number;
  /** One name of 2^this is looked at. */
  readonly #sampling: number;
  /** Hash to slot and bytes; the oldest first. */
  readonly #entries = new Map<number, { slot: number; readonly bytes: number }>();
  /** Bytes by slot, as a binary indexed tree (Fenwick, 1994). */
  readonly #tree = new Float64Array(slots + 1);
  #next = 1;
  #bytes = 0;
  #lookups = 0;
  #sampled = 0;
  #hits = new Float64Array(ghostParts);

  /** @param maxBytes Of the largest cache that is thought of. */
  constructor(maxBytes: number) {
    this.#partBytes = maxBytes / ghostParts;
    const many = maxBytes / usualEntryBytes / enoughEntries;
    this.#sampling = many > 1 ? Math.min(leastSampling, Math.floor(Math.log2(many))) : 0;
    this.#maxBytes = maxBytes / 2 ** this.#sampling;
  }

  /** Whether look-ups of a name are looked at; others are only counted. */
  samples(hash: number): boolean {
    return hash % 2 ** this.#sampling === 0;
  }

  /** A look-up, answered or not. @param bytes What the entry takes. */
  look(hash: number, bytes: number): void {
    this.#lookups++;
    if (!this.samples(hash)) return;
    this.#sampled++;
    const known = this.#entries.get(hash);
    if (known) {
      const depth = this.#bytes - this.#sum(known.slot) + known.bytes;
      const part = Math.ceil((depth * 2 ** this.#sampling) / this.#partBytes) - 1;
      if (part < ghostParts) this.#hits[Math.max(0, part)]! += 1;
      this.#remove(hash, known);
    }
    if (this.#next > slots) this.#compact();
    const slot = this.#next++;
    this.#entries.set(hash, { slot, bytes });
    this.#add(slot, bytes);
    this.#bytes += bytes;
    this.#trim(slots / 2);
  }

  /** What was asked for since the last call, of all names. */
  take(): GhostDepths {
    const scale = 2 ** this.#sampling;
    const hits = this.#hits.map((count) => count * scale);
    // Which names are looked at is chance: names asked for often make more or fewer look-ups than their share. What is
    // too much or too little are mostly hits of those (SHARDS-adj).
    hits[0] = Math.max(0, hits[0]! + this.#lookups - this.#sampled * scale);
    const lookups = this.#lookups;
    this.#lookups = this.#sampled = 0;
    this.#hits.fill(0);
    return { lookups, hits };
  }

  #remove(hash: number, { slot, bytes }: { readonly slot: number; readonly bytes: number }): void {
    this.#entries.delete(hash);
    this.#add(slot, -bytes);
    this.#bytes -= bytes;
  }

  #trim(maxEntries: number): void {
    for (const [hash, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes && this.#entries.size <= maxEntries) return;
      this.#remove(hash, entry);
    }
  }

  #compact(): void {
    this.#tree.fill(0);
    this.#next = 1;
    for (const entry of this.#entries.values()) {
      entry.slot = this.#next++;
      this.#add(entry.slot, entry.bytes);
    }
  }

  #add(slot: number, bytes: number): void {
    for (let at = slot; at <= slots; at += at & -at) this.#tree[at]! += bytes;
  }

  /** Bytes of slots up to this one. */
  #sum(slot: number): number {
    let sum = 0;
    for (let at = slot; at > 0; at -= at & -at) sum += this.#tree[at]!;
    return sum;
  }
}

/** 48 bits of two 32-bit hashes (FNV-1a, and one with another factor), mixed: a figure may err by two equal ones. */
export function ghostHash(name: string): number {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x5bd1e995);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (b >>> 16) * 2 ** 32 + ((a ^ (a >>> 16)) >>> 0);
}

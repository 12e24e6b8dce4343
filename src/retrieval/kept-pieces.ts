/** Bytes that the pieces of a text take beside themselves. */
const entryBytes = 120;

/** Pieces of the texts of one family, by slot. */
type Pieces = Map<number, Uint32Array>;

/**
 * Word pieces of texts that were compared lately, by slot and by what gives slots their meaning, with which they are
 * forgotten. Two generations: what is asked for moves into the younger one, and when that is full, the older one goes.
 * A recall asks for fifty, so that even an order of use would cost more than it saves.
 */
export class KeptPieces {
  readonly #maxBytes: number;
  #young = new WeakMap<object, Pieces>();
  #old = new WeakMap<object, Pieces>();
  #youngBytes = 0;
  #oldBytes = 0;

  /** @param maxBytes Of both generations. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** At most. */
  get bytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  /** Pieces of these slots, in their order; undefined where none are kept. */
  find(family: object, slots: Uint32Array): (Uint32Array | undefined)[] {
    const young = this.#young.get(family);
    const found: (Uint32Array | undefined)[] = [];
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at]!;
      found.push(young?.get(slot) ?? this.#revived(family, slot));
    }
    return found;
  }

  keep(family: object, slot: number, pieces: Uint32Array): void {
    const bytes = entryBytes + pieces.byteLength;
    if (bytes > this.#maxBytes / 2) return;
    if (this.#youngBytes + bytes > this.#maxBytes / 2) {
      this.#old = this.#young;
      this.#oldBytes = this.#youngBytes;
      this.#young = new WeakMap();
      this.#youngBytes = 0;
    }
    let young = this.#young.get(family);
    if (!young) {
      young = new Map();
      this.#young.set(family, young);
    }
    young.set(slot, pieces);
    this.#youngBytes += bytes;
  }

  #revived(family: object, slot: number): Uint32Array | undefined {
    const pieces = this.#old.get(family)?.get(slot);
    if (pieces) this.keep(family, slot, pieces);
    return pieces;
  }
}

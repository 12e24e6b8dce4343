import { randomFillSync } from "node:crypto";
import { v7 as uuidv7 } from "uuid";

const randomBytes = 16;
/** Ids whose random bytes are asked for at once: asked for one at a time, they take the greater part of an id's cost. */
const idsAtOnce = 256;

/** Makes ids of memories: UUIDv7, each greater than those it made before. */
export class MemoryIds {
  readonly #random: Uint8Array<ArrayBuffer> = new Uint8Array(idsAtOnce * randomBytes);
  #used: number = this.#random.length;
  #msecs = 0;
  #sequence = 0;

  next(): string {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    const random = this.#random.subarray(this.#used, this.#used + randomBytes);
    this.#used += randomBytes;
    const now = Date.now();
    if (now > this.#msecs) {
      this.#msecs = now;
      // Half of its range is left for counting on.
      this.#sequence = new DataView(random.buffer, random.byteOffset).getUint32(6) >>> 1;
    } else {
      this.#sequence++;
    }
    return uuidv7({ random, msecs: this.#msecs, seq: this.#sequence });
  }
}

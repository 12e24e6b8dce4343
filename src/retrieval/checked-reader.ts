import { crc32 } from "node:zlib";

/** Where bytes come from. */
export interface ByteSource {
  readonly size: number;
  /** Fills `into` from `offset` on; false when there are not so many. */
  read(into: Uint8Array, offset: number): Promise<boolean>;
  /** The same on the spot, for a process that has nothing else to do; absent: others run while one waits. */
  readonly readNow?: ((into: Uint8Array, offset: number) => boolean) | undefined;
}

/** Bytes checked, copied or written before others run: well under a millisecond. */
export const sliceBytes: number = 1 << 20;
/** Slices read at once, by as many threads. */
export const readAhead = 4;
/** At the end: crc32 of all before. */
export const trailerBytes = 4;

/** The source ended too early. */
export class TornSource extends Error {}

/** Reads a source from its start on and sums up what it read; the next slices are under way while one is summed. */
export class CheckedReader {
  readonly #source: ByteSource;
  #at = 0;
  #checksum = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Whether {@link fillNow} may be called. */
  get readsNow(): boolean {
    return this.#source.readNow !== undefined;
  }

  fillNow(into: Uint8Array): void {
    if (this.#source.readNow?.(into, this.#at) !== true) throw new TornSource();
    this.#checksum = crc32(into, this.#checksum);
    this.#at += into.length;
  }

  async fill(into: Uint8Array): Promise<void> {
    if (this.readsNow) {
      this.fillNow(into);
      return;
    }
    const read = (from: number): Promise<boolean> => {
      const reading = this.#source.read(into.subarray(from, from + sliceBytes), this.#at + from);
      reading.catch(() => {});
      return reading;
    };
    const starts = Array.from({ length: Math.ceil(into.length / sliceBytes) }, (_, i) => i * sliceBytes);
    const ahead = starts.slice(0, readAhead).map(read);
    for (const [at, from] of starts.entries()) {
      if (!(await ahead[at]!)) {
        await Promise.allSettled(ahead);
        throw new TornSource();
      }
      if (at + readAhead < starts.length) ahead.push(read(starts[at + readAhead]!));
      this.#checksum = crc32(into.subarray(from, from + sliceBytes), this.#checksum);
    }
    this.#at += into.length;
  }

  /** True when the checksum follows and agrees, and nothing after it. */
  async endsWell(): Promise<boolean> {
    const expected = this.#checksum;
    const trailer = new DataView(new ArrayBuffer(trailerBytes));
    await this.fill(new Uint8Array(trailer.buffer));
    return trailer.getUint32(0, true) === expected && this.#at === this.#source.size;
  }
}

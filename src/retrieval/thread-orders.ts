import { contextTurns } from "../contract/index-text.ts";

/** A turn's place in its thread. */
export interface TurnPlace {
  /** Milliseconds since 1970; NaN when it has none: such turns come first. */
  readonly at: number;
  readonly row: number;
}

/** Turns of each thread in the order they were said: by event time, then by row. */
export class ThreadOrders {
  readonly #threads = new Map<string, TurnPlace[]>();

  /** Puts a turn in its place. @returns Rows of the turns whose context it becomes part of. */
  insert(thread: string, place: TurnPlace): number[] {
    const turns = this.#threads.get(thread);
    if (!turns) {
      this.#threads.set(thread, [place]);
      return [];
    }
    const at = position(turns, place);
    turns.splice(at, 0, place);
    return turns.slice(at + 1, at + 1 + contextTurns).map((turn) => turn.row);
  }

  /** Takes a turn out. @returns Rows of the turns whose context it was part of. */
  remove(thread: string, place: TurnPlace): number[] {
    const turns = this.#threads.get(thread);
    if (!turns) return [];
    const at = position(turns, place);
    if (turns[at]?.row !== place.row) return [];
    turns.splice(at, 1);
    if (turns.length === 0) this.#threads.delete(thread);
    return turns.slice(at, at + contextTurns).map((turn) => turn.row);
  }

  /** Rows of the up to two turns before a turn, oldest first. */
  before(thread: string, place: TurnPlace): number[] {
    const turns = this.#threads.get(thread);
    if (!turns) return [];
    const at = position(turns, place);
    return turns.slice(Math.max(0, at - contextTurns), at).map((turn) => turn.row);
  }
}

function position(turns: readonly TurnPlace[], place: TurnPlace): number {
  let low = 0;
  let high = turns.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(turns[middle]!, place)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBefore(a: TurnPlace, b: TurnPlace): boolean {
  const atA = Number.isNaN(a.at) ? Number.NEGATIVE_INFINITY : a.at;
  const atB = Number.isNaN(b.at) ? Number.NEGATIVE_INFINITY : b.at;
  return atA < atB || (atA === atB && a.row < b.row);
}

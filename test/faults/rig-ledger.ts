import type { Tier } from "../../src/contract/tier.ts";
import type { Line, OwnedMemory, Write } from "./rig-lines.ts";

/** A memory of one owner as its acknowledged writes leave it, and the write that may or may not have been done. */
export interface OwnState {
  readonly id: string;
  readonly namespace: string;
  readonly owner: string;
  /** Undefined: acknowledged as forgotten, or never acknowledged as stored. */
  revision: number | undefined;
  /** Acknowledged moves. */
  moves: number;
  /** Where it was stored. */
  tier: Tier | undefined;
  pending: Write | undefined;
  erased: boolean;
}

export interface KeyState {
  readonly key: string;
  readonly namespace: string;
  readonly ids: Set<string>;
}

export interface CountState {
  readonly id: string;
  readonly owner: string;
  acknowledged: number;
  pending: number;
}

/** A write to a document that everyone writes to. */
export interface DocumentWrite {
  /** Undefined: it was forgotten. */
  readonly version: string | undefined;
  readonly begin: number;
  /** Infinite while it was not acknowledged. */
  end: number;
}

export interface DocumentState {
  readonly uri: string;
  readonly namespace: string;
  writes: DocumentWrite[];
}

/** What the processes of the rig were told is done, and what they began and were killed in. */
export class Ledger {
  readonly own: Map<string, OwnState> = new Map();
  readonly keys: Map<string, KeyState> = new Map();
  readonly counts: Map<string, CountState> = new Map();
  readonly documents: Map<string, DocumentState> = new Map();
  /** Moves of shared memories: acknowledged and not. */
  readonly sharedMoves: Map<string, { acknowledged: number; pending: number }> = new Map();
  readonly broken: string[] = [];
  readonly refusals: Map<string, number> = new Map();
  acknowledged = 0;
  reads = 0;
  /** Killed between its begin and its acknowledgement. */
  uncertain = 0;

  /** What one process writes. */
  follow(): ProcessLedger {
    return new ProcessLedger(this);
  }

  ownState(write: { readonly id: string; readonly namespace: string; readonly owner?: string }): OwnState {
    const name = `${write.namespace}/${write.id}`;
    let state = this.own.get(name);
    if (!state) {
      const { id, namespace, owner = "" } = write;
      state = {
        id,
        namespace,
        owner,
        revision: undefined,
        moves: 0,
        tier: undefined,
        pending: undefined,
        erased: false,
      };
      this.own.set(name, state);
    }
    return state;
  }
}

/** Follows the lines of one process from its start to its death. */
export class ProcessLedger {
  readonly #ledger: Ledger;
  readonly #open = new Map<number, { readonly write: Write; readonly document: DocumentWrite | undefined }>();
  readonly #held = new Map<string, OwnedMemory>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  take(line: Line): void {
    const ledger = this.#ledger;
    if (line.line === "begin") this.#begin(line.n, line.at, line.write);
    else if (line.line === "done") this.#done(line.n, line.at, line.id);
    else if (line.line === "refused") this.#refused(line.n, line.code);
    else if (line.line === "read") ledger.reads++;
    else if (line.line === "broken") ledger.broken.push(line.what);
  }

  /** The process was killed: what it had begun may be there or not. */
  died(): void {
    this.#ledger.uncertain += this.#open.size;
    this.#open.clear();
  }

  /** Memories that nothing is under way with, for a successor to go on with. */
  get left(): OwnedMemory[] {
    return [...this.#held.values()].slice(-60);
  }

  adopt(owned: readonly OwnedMemory[]): void {
    for (const memory of owned) this.#held.set(`${memory.namespace}/${memory.id}`, memory);
  }

  #begin(n: number, at: number, write: Write): void {
    const ledger = this.#ledger;
    let document: DocumentWrite | undefined;
    switch (write.kind) {
      case "store":
      case "change":
      case "move":
      case "forget":
      case "restore":
        ledger.ownState(write).pending = write;
        if (write.kind === "store") ledger.ownState(write).tier = write.tier;
        this.#held.delete(`${write.namespace}/${write.id}`);
        break;
      case "store-many":
        for (const id of write.ids) {
          Object.assign(ledger.ownState({ ...write, id }), { pending: write, tier: "long_term" });
        }
        break;
      case "count":
        this.#count(write.id, write.owner).pending++;
        break;
      case "move-shared":
        this.#sharedMoves(write.id).pending++;
        break;
      case "ingest":
      case "forget-document": {
        document = {
          version: write.kind === "ingest" ? write.version : undefined,
          begin: at,
          end: Number.POSITIVE_INFINITY,
        };
        this.#document(write.namespace, write.uri).writes.push(document);
        break;
      }
    }
    this.#open.set(n, { write, document });
  }

  #done(n: number, at: number, id: string | undefined): void {
    const ledger = this.#ledger;
    const open = this.#open.get(n);
    if (!open) return;
    this.#open.delete(n);
    ledger.acknowledged++;
    const { write, document } = open;
    if (document) document.end = at;
    switch (write.kind) {
      case "store":
        this.#stored(write.id, write.namespace, write.owner, 0);
        break;
      case "store-many":
        for (const each of write.ids) this.#stored(each, write.namespace, write.owner, 0);
        break;
      case "change":
        this.#stored(write.id, write.namespace, write.owner, write.revision);
        break;
      case "move": {
        const state = ledger.ownState(write);
        state.moves++;
        state.pending = undefined;
        this.#hold(write.id, write.namespace, state.owner, state.revision ?? 0);
        break;
      }
      case "forget": {
        const state = ledger.ownState(write);
        state.revision = undefined;
        state.pending = undefined;
        state.erased = write.erase;
        break;
      }
      case "restore":
        this.#stored(write.id, write.namespace, ledger.ownState(write).owner, write.revision);
        break;
      case "store-key": {
        const name = `${write.namespace}/${write.key}`;
        const known = ledger.keys.get(name) ?? { key: write.key, namespace: write.namespace, ids: new Set() };
        known.ids.add(id ?? "");
        ledger.keys.set(name, known);
        break;
      }
      case "count": {
        const count = this.#count(write.id, write.owner);
        count.pending--;
        count.acknowledged++;
        break;
      }
      case "move-shared": {
        const moves = this.#sharedMoves(write.id);
        moves.pending--;
        moves.acknowledged++;
        break;
      }
    }
  }

  /** A write that was refused has left nothing. */
  #refused(n: number, code: string): void {
    const ledger = this.#ledger;
    const open = this.#open.get(n);
    if (!open) return;
    this.#open.delete(n);
    ledger.refusals.set(code, (ledger.refusals.get(code) ?? 0) + 1);
    const { write, document } = open;
    if (document) {
      const state = this.#document(
        (write as { namespace: string }).namespace,
        (write as { uri: string }).uri,
      );
      state.writes = state.writes.filter((one) => one !== document);
    } else if (write.kind === "count") this.#count(write.id, write.owner).pending--;
    else if (write.kind === "move-shared") this.#sharedMoves(write.id).pending--;
    else if (write.kind === "store-many") {
      for (const id of write.ids) ledger.ownState({ ...write, id }).pending = undefined;
    } else if ("id" in write) ledger.ownState(write).pending = undefined;
  }

  #stored(id: string, namespace: string, owner: string, revision: number): void {
    const state = this.#ledger.ownState({ id, namespace, owner });
    state.revision = revision;
    state.pending = undefined;
    this.#hold(id, namespace, owner, revision);
  }

  #hold(id: string, namespace: string, owner: string, revision: number): void {
    this.#held.set(`${namespace}/${id}`, { id, namespace, owner, revision });
  }

  #count(id: string, owner: string): CountState {
    const name = `${id}/${owner}`;
    const count = this.#ledger.counts.get(name) ?? { id, owner, acknowledged: 0, pending: 0 };
    this.#ledger.counts.set(name, count);
    return count;
  }

  #sharedMoves(id: string): { acknowledged: number; pending: number } {
    const moves = this.#ledger.sharedMoves.get(id) ?? { acknowledged: 0, pending: 0 };
    this.#ledger.sharedMoves.set(id, moves);
    return moves;
  }

  #document(namespace: string, uri: string): DocumentState {
    const name = `${namespace}/${uri}`;
    const state = this.#ledger.documents.get(name) ?? { uri, namespace, writes: [] };
    this.#ledger.documents.set(name, state);
    return state;
  }
}

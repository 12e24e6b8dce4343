import { resolve } from "node:path";
import type { Command } from "commander";
import type { ConfigOverrides } from "../config/config.ts";
import type { Strata } from "../engine/strata.ts";
import type { Io } from "./io.ts";
import { type GlobalOptions, Output } from "./output.ts";

/** What a run of the command line stands in. */
export interface Surroundings {
  readonly io: Io;
  /** Aborted when the user or the system asks the command to end. */
  readonly signal: AbortSignal;
  /** For a command that did its work and found something wrong. */
  setExitCode(code: number): void;
}

/** What one command has at hand. */
export class Session {
  readonly io: Io;
  readonly options: GlobalOptions;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly surroundings: Surroundings;
  /** Loads another command's arguments and options. */
  readonly declare: (other: Command) => Promise<void>;

  constructor(
    surroundings: Surroundings,
    options: GlobalOptions,
    declare: (other: Command) => Promise<void>,
  ) {
    this.surroundings = surroundings;
    this.declare = declare;
    this.io = surroundings.io;
    this.signal = surroundings.signal;
    this.options = options;
    this.output = new Output(this.io, options);
  }

  /** The memory, made if there is none. */
  openOrCreate(): Promise<Strata> {
    return this.#open({ mustExist: false });
  }

  /**
   * The memory that is there: a command that only looks or takes away makes no file. One that asks it a question has
   * `preload` set.
   * @throws DATABASE_NOT_FOUND
   */
  openExisting(options?: { readonly preload: boolean }): Promise<Strata> {
    return this.#open({ mustExist: true, ...options });
  }

  /** What the command line sets of the configuration. */
  get overrides(): ConfigOverrides {
    const { db, namespace, config } = this.options;
    const { cwd } = this.io;
    return { path: db && resolve(cwd, db), namespace, configFile: config && resolve(cwd, config) };
  }

  async #open(options: { readonly mustExist: boolean; readonly preload?: boolean }): Promise<Strata> {
    const { openMemory } = await import("../engine/open-memory.ts");
    return openMemory({ ...this.overrides, ...options });
  }
}

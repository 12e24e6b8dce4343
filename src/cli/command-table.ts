import type { Command } from "commander";
import type { Session } from "./session.ts";

/** A command's module: arguments, options, examples and action, added to a bare command. */
export interface CommandModule {
  declare(command: Command, session: Session): void;
}

/** One row of the table of commands. */
export interface CommandRow {
  readonly name: string;
  readonly group: string;
  /** For the list of commands; no full stop. */
  readonly summary: string;
  /** Not listed in the help. */
  readonly hidden?: true;
  /** Commands below it, whose help stands in the reference too. */
  readonly actions?: readonly string[];
  /** Called when the command is the one to run, so that no other command's code is loaded. */
  load(): Promise<CommandModule>;
}

const remember = "Remember:";
const find = "Find:";
const tend = "Tend:";
const setUp = "Set up:";

/** Every command, in the order the help lists them. */
export const commandTable: readonly CommandRow[] = [
  {
    name: "store",
    group: remember,
    summary: "store one memory",
    load: () => import("./commands/store.ts"),
  },
  {
    name: "ingest",
    group: remember,
    summary: "read files and folders into memory",
    load: () => import("./commands/ingest.ts"),
  },
  {
    name: "recall",
    group: find,
    summary: "find what answers a question, by meaning and by words",
    load: () => import("./commands/recall.ts"),
  },
  {
    name: "search",
    group: find,
    summary: 'find words, "phrases" and beginnings of words*',
    load: () => import("./commands/search.ts"),
  },
  {
    name: "research",
    group: find,
    summary: "ask several questions at once",
    load: () => import("./commands/research.ts"),
  },
  { name: "get", group: find, summary: "show one memory", load: () => import("./commands/get.ts") },
  {
    name: "list",
    group: find,
    summary: "list memories, newest first",
    load: () => import("./commands/list.ts"),
  },
  {
    name: "documents",
    group: find,
    summary: "list ingested documents",
    load: () => import("./commands/documents.ts"),
  },
  {
    name: "namespaces",
    group: find,
    summary: "list namespaces",
    load: () => import("./commands/namespaces.ts"),
  },
  { name: "update", group: tend, summary: "change a memory", load: () => import("./commands/update.ts") },
  {
    name: "pin",
    group: tend,
    summary: "keep a memory from being evicted",
    load: () => import("./commands/pin.ts"),
  },
  {
    name: "forget",
    group: tend,
    summary: "remove memories by id or by filter",
    load: () => import("./commands/forget.ts"),
  },
  {
    name: "clear",
    group: tend,
    summary: "remove everything in a namespace for good",
    load: () => import("./commands/clear.ts"),
  },
  {
    name: "cleanup",
    group: tend,
    summary: "remove what has expired",
    load: () => import("./commands/cleanup.ts"),
  },
  {
    name: "consolidate",
    group: tend,
    summary: "move memories up and down, merge what is there twice",
    load: () => import("./commands/consolidate.ts"),
  },
  {
    name: "undo",
    group: tend,
    summary: "take back a consolidation, or what was forgotten",
    load: () => import("./commands/undo.ts"),
  },
  {
    name: "why",
    group: tend,
    summary: "tell a memory's life and what comes next",
    load: () => import("./commands/why.ts"),
  },
  {
    name: "audit",
    group: tend,
    summary: "find duplicates, junk, secrets and what nothing owns",
    load: () => import("./commands/audit.ts"),
  },
  { name: "stats", group: tend, summary: "show figures by tier", load: () => import("./commands/stats.ts") },
  {
    name: "journal",
    group: tend,
    summary: "show what moved, was merged, evicted, expired and forgotten",
    load: () => import("./commands/journal.ts"),
  },
  {
    name: "reembed",
    group: tend,
    summary: "embed all memories by the model in use, while they are in use",
    load: () => import("./commands/reembed.ts"),
  },
  {
    name: "snapshot",
    group: tend,
    summary: "save named states of memories and go back to them",
    actions: ["save", "load", "diff", "list", "delete"],
    load: () => import("./commands/snapshot.ts"),
  },
  {
    name: "tune",
    group: tend,
    summary: "show what was tuned, or what a recorded workload would tune",
    load: () => import("./commands/tune.ts"),
  },
  {
    name: "export",
    group: tend,
    summary: "write a namespace as JSON Lines",
    load: () => import("./commands/export.ts"),
  },
  {
    name: "import",
    group: tend,
    summary: "read what export wrote",
    load: () => import("./commands/import.ts"),
  },
  {
    name: "backup",
    group: tend,
    summary: "write the whole memory to one file while it is in use",
    load: () => import("./commands/backup.ts"),
  },
  {
    name: "restore",
    group: tend,
    summary: "put a backup in the memory's place",
    load: () => import("./commands/restore.ts"),
  },
  {
    name: "init",
    group: setUp,
    summary: "make a .strata folder here, for a memory of this project",
    load: () => import("./commands/init.ts"),
  },
  {
    name: "config",
    group: setUp,
    summary: "show, check and make the configuration",
    actions: ["show", "check", "init"],
    load: () => import("./commands/config.ts"),
  },
  {
    name: "model",
    group: setUp,
    summary: "bring, look at and measure embedding models",
    actions: ["list", "pull", "info", "bench"],
    load: () => import("./commands/model.ts"),
  },
  {
    name: "doctor",
    group: setUp,
    summary: "check the installation and the memory's file",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "bench",
    group: setUp,
    summary: "measure storing and recalling on this machine",
    load: () => import("./commands/bench.ts"),
  },
  {
    name: "completion",
    group: setUp,
    summary: "print a shell's completion script",
    load: () => import("./commands/completion.ts"),
  },
  {
    name: "complete",
    group: setUp,
    summary: "answer a completion script",
    hidden: true,
    load: () => import("./commands/complete.ts"),
  },
];

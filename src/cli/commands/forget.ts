import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { FilterOptions } from "../../engine/filter-options.ts";
import type { Strata } from "../../engine/strata.ts";
import { confirm } from "../confirm.ts";
import { withDocumentUri } from "../document-names.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { plural } from "../units.ts";

interface Flags extends FilterFlags {
  readonly erase?: boolean;
  readonly yes?: boolean;
}

/** Memories counted before a confirmation is asked for; beyond, "or more" says enough. */
const counted = 1_000;

export function declare(command: Command, session: Session): void {
  command
    .description("Remove memories by id, or all that match a filter; by --document, the document whole.")
    .argument("[ids...]")
    .option("--erase", "leave no byte behind, and nothing to undo")
    .option("-y, --yes", "do not ask");
  addFilterFlags(command).action((ids: string[], flags: Flags) => forget(ids, flags, session));
  addExamples(command, [
    ["strata forget ID", ""],
    ["strata forget --tags scratch --before 2026-01-01", "asks first"],
    ["strata forget --document docs/old.md --yes", "a document whole"],
    ["strata forget ID --erase --yes", "gone from the file's bytes"],
  ]);
}

async function forget(ids: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  const filter = target(ids, flags);
  const erase = flags.erase === true;
  await using memory = await session.openExisting();
  const which = filter === undefined ? ids : await withDocumentUri(filter, memory, io.cwd);
  if (flags.yes !== true && (erase || filter !== undefined)) await ask(memory, which, erase, session);
  const { forgotten, run } = await memory.forget(which, { erase, signal });
  output.result(
    { forgotten, ...(run !== undefined && { run }) },
    () => `${plural(forgotten, "memory", "memories")} ${erase ? "erased" : "forgotten"}`,
  );
  if (forgotten === 0) output.note("Nothing matched.");
}

/** The filter the flags ask for; undefined when ids are named instead. */
function target(ids: readonly string[], flags: Flags): FilterOptions | undefined {
  const filter = filterOf(flags);
  const filtered = Object.keys(filter).length > 0;
  if (ids.length > 0 && filtered)
    throw new StrataError("INVALID_ARGUMENT", "Expected ids or filters, got both.");
  if (ids.length === 0 && !filtered)
    throw new StrataError(
      "INVALID_ARGUMENT",
      "Expected ids or a filter such as --tags; to remove everything: strata clear NAMESPACE",
    );
  return filtered ? filter : undefined;
}

async function ask(
  memory: Strata,
  which: readonly string[] | FilterOptions,
  erase: boolean,
  session: Session,
): Promise<void> {
  const filter = Array.isArray(which) ? { ids: which } : which;
  const { memories, cursor } = await memory.list({ ...filter, limit: counted, signal: session.signal });
  if (memories.length === 0) return;
  const count = plural(memories.length, "memory", "memories") + (cursor === undefined ? "" : " or more");
  const verb = erase ? "Erase for good" : "Forget";
  await confirm(session, `${verb} ${count} of the namespace "${memory.namespace}"?`);
}

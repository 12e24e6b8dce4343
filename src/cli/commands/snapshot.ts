import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { SnapshotInfo } from "../../contract/snapshot.ts";
import type { SnapshotChange } from "../../engine/snapshots.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples } from "../flag-values.ts";
import { snapshotJson } from "../json-shapes.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { oneLine } from "../terminal-text.ts";
import { formatBytes, formatCount, formatTime, plural } from "../units.ts";

interface SaveFlags extends FilterFlags {
  readonly replace?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Save named states of memories, compare with them and go back to them.")
    .helpCommand(false)
    .action(() => {
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected one of save, load, diff, list, delete after: strata snapshot",
      );
    });
  addFilterFlags(
    command
      .command("save")
      .description("Save the memories that match, or all, under a name. Documents are not part of it.")
      .argument("<name>")
      .option("--replace", "in the place of one of that name"),
  ).action((name: string, flags: SaveFlags) => save(name, flags, session));
  command
    .command("load")
    .description("Bring back what changed or left since; strata undo takes it back.")
    .argument("<name>")
    .option("--dry-run", "only tell what would be done")
    .action((name: string, flags: { readonly dryRun?: boolean }) => load(name, flags, session));
  command
    .command("diff")
    .description("Tell what changed, left and was added since.")
    .argument("<name>")
    .argument("[against]", "another snapshot (default: what is there now)")
    .action((name: string, against: string | undefined) => diff(name, against, session));
  command
    .command("list")
    .description("List snapshots by name.")
    .action(() => list(session));
  command
    .command("delete")
    .description("Delete a snapshot; the memories stay.")
    .argument("<name>")
    .action((name: string) => remove(name, session));
  addExamples(command, [
    ["strata snapshot save before-refactoring", "the whole namespace"],
    ["strata snapshot save trip --thread trip", "one conversation"],
    ["strata snapshot diff trip", ""],
    ["strata snapshot load trip --dry-run", ""],
  ]);
}

async function save(name: string, flags: SaveFlags, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const info = await memory.snapshots.save(name, { ...filterOf(flags), replace: flags.replace, signal });
  output.result(
    snapshotJson(info),
    () =>
      `Saved ${plural(info.memories, "memory", "memories")}, ${formatBytes(info.bytes)}, as ${oneLine(name)}`,
  );
  if (info.memories === 0) output.note("Nothing matched; the snapshot is empty.");
}

async function load(
  name: string,
  { dryRun }: { readonly dryRun?: boolean },
  session: Session,
): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const done = await memory.snapshots.load(name, { dryRun, signal });
  output.result(done, () =>
    [
      ...done.restored.map((id) => `+ ${oneLine(id)}`),
      ...changeLines(done.changed),
      ...done.skipped.map((id) => `! ${oneLine(id)}  changed meanwhile, left as it is`),
      `${dryRun ? "Would bring" : "Brought"} back ${plural(done.restored.length, "memory", "memories")}, ` +
        `${dryRun ? "change" : "changed"} ${formatCount(done.changed.length)}; ${formatCount(done.unchanged)} unchanged`,
    ].join("\n"),
  );
  if (done.evicted.length > 0)
    output.note(`${plural(done.evicted.length, "entry", "entries")} left full tiers.`);
  if (done.run !== undefined) output.note(`Take it back with: strata undo ${done.run}`);
}

async function diff(name: string, against: string | undefined, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const found = await memory.snapshots.diff(name, { against, signal });
  output.result(found, () =>
    [
      ...found.added.map((id) => `+ ${oneLine(id)}`),
      ...found.left.map((id) => `- ${oneLine(id)}`),
      ...changeLines(found.changed),
      `${formatCount(found.added.length)} added, ${formatCount(found.left.length)} left, ` +
        `${formatCount(found.changed.length)} changed, ${formatCount(found.unchanged)} unchanged`,
    ].join("\n"),
  );
}

function changeLines(changes: readonly SnapshotChange[]): string[] {
  return changes.map(({ id, fields }) => `~ ${oneLine(id)}  ${fields.join(", ")}`);
}

const columns = [
  { head: "memories", right: true },
  { head: "size", right: true },
  { head: "saved" },
  { head: "name" },
];

async function list(session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const snapshots = await memory.snapshots.list({ signal });
  const rowOf = ({ name, memories, bytes, createdAt }: SnapshotInfo) => [
    formatCount(memories),
    formatBytes(bytes),
    formatTime(createdAt),
    oneLine(name),
  ];
  output.result({ snapshots: snapshots.map(snapshotJson) }, () =>
    snapshots.length === 0 ? "" : formatTable(columns, snapshots.map(rowOf), output.style.dim),
  );
  if (snapshots.length === 0) output.note("There is none yet. Save one with: strata snapshot save NAME");
}

async function remove(name: string, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  await memory.snapshots.delete(name, { signal });
  output.result({ deleted: name }, () => `Deleted ${oneLine(name)}`);
}

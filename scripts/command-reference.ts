/** Writes docs/reference/cli.md: an introduction, and what every command says of itself with --help. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandTable } from "../src/cli/command-table.ts";
import { recordRun } from "../src/cli/recorded-run.ts";
import { root } from "./repository.ts";

const introduction = `# Command line

\`strata\` has the verbs of the library as commands. In a project that installed the package say \`npx strata\`, elsewhere
\`npx strata-memory\` (the bare name is another package's). Every command tells its options and examples with \`--help\`; this
page is made from them by \`npm run docs:cli\`.

## Streams

Standard output carries results and nothing else, so it can be piped. Progress, notes, warnings and errors go to standard
error; \`--quiet\` leaves results and errors. \`--json\` prints one JSON document ([JSON output](json-output.md)), and errors as
JSON on standard error. A reader that stops early, such as \`head\`, is no error.

Text of memories is shown with control characters replaced, so that a memory cannot move the cursor or recolour the
terminal; \`--json\` and \`export\` give it character by character.

Colour is used on a terminal. \`--no-color\`, then \`NO_COLOR\`, then \`FORCE_COLOR\` decide otherwise.

## Which file

\`--db FILE\`, else \`STRATA_PATH\`, else \`.strata/memory.db\` in the nearest folder upward that has a \`.strata\` folder
(\`strata init\` makes one), else \`strata/memory.db\` in your user's data folder. \`strata doctor\` tells which one it is and why.
Only \`store\`, \`ingest\`, \`import\` and \`restore\` make a file; every other command ends with \`DATABASE_NOT_FOUND\` where there is none.

## Exit codes

| Code | Meaning |
|---|---|
| 0 | done; an answer may be empty, and \`ingest\` may have left out files it could not read (warnings name them) |
| 1 | a defect of Strata |
| 2 | bad use: unknown command, option or tier, a value out of range, not confirmed |
| 3 | no memory of that id |
| 4 | a conflict: the id is taken, the version changed |
| 5 | the database: missing, busy, damaged, of a newer version, no room on the disk |
| 6 | input files: missing, unreadable, nothing to read, a checksum that does not agree |
| 7 | the embedding model |
| 8 | a limit was reached |
| 130, 143 | interrupted by Ctrl-C or by the system: what was acknowledged is kept, a document half read is not |

The code of an error stands at the end of its line: [all codes](errors.md).

## Confirmation

\`forget\` with a filter or with \`--erase\`, and \`clear\`, ask at a terminal. Elsewhere they end with \`CONFIRMATION_REQUIRED\`
unless \`--yes\` is given.

## Times

\`--at\`, \`--after\` and \`--before\` take ISO 8601: \`2026-01-31\`, \`2026-01-31T08:00\` (without a zone: UTC),
\`2026-01-31T08:00+02:00\`. Times are printed in UTC.
`;

/** The reference's text. */
export async function commandReference(): Promise<string> {
  const { stdout } = await recordRun(["--help"]);
  const sections = [introduction, "## strata\n", block(stdout)];
  for (const { name, actions = [] } of commandTable.filter(({ hidden }) => hidden !== true)) {
    sections.push(`## ${name}\n`, await helpOf(name));
    for (const action of actions) sections.push(`### ${name} ${action}\n`, await helpOf(name, action));
  }
  return sections.join("\n");
}

/** The global options stand once, above. */
async function helpOf(...command: readonly string[]): Promise<string> {
  const { stdout } = await recordRun([...command, "--help"]);
  return block(stdout.replace(/\nGlobal Options:\n(?: .*\n)+/, ""));
}

function block(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}

if (import.meta.main) {
  writeFileSync(join(root, "docs/reference/cli.md"), await commandReference());
}

/** Writes docs/reference/errors.md from the table of codes. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorTable } from "../src/contract/errors.ts";
import { root } from "./repository.ts";

/** What an exit code of the command says of the codes that share it. */
const exitGroups: ReadonlyMap<number, string> = new Map([
  [1, "internal"],
  [2, "bad use"],
  [3, "not found"],
  [4, "conflict"],
  [5, "store"],
  [6, "input files"],
  [7, "model"],
  [8, "limit"],
]);

/** The reference's text. */
export function errorsReference(): string {
  const lines = [
    "# Errors",
    "",
    "Every error that Strata throws on purpose is a `StrataError` with one of these codes. Its message says what was",
    "expected, what came, and what to do next; it never carries a text, a vector or a key. `StrataError.isInstance(error)`",
    "recognises it even where the package is installed twice.",
    "",
    "Retryable: the same call may succeed later, unchanged. Made from the source by `npm run docs:errors`.",
  ];
  let group = 0;
  for (const [code, kind] of Object.entries(errorTable)) {
    if (kind.exitCode !== group) {
      group = kind.exitCode;
      lines.push("", `## Exit code ${group}: ${exitGroups.get(group)}`, "");
      lines.push("| Code | Meaning | Retryable | HTTP |", "|---|---|---|---|");
    }
    lines.push(`| \`${code}\` | ${kind.meaning} | ${kind.retryable ? "yes" : "no"} | ${kind.httpStatus} |`);
  }
  return `${lines.join("\n")}\n`;
}

if (import.meta.main) {
  writeFileSync(join(root, "docs/reference/errors.md"), errorsReference());
}

import type { HygieneFindings } from "../engine/hygiene/write-hygiene.ts";
import type { Output } from "./output.ts";

/** What was noticed of a text, as `--json` tells it; a memory's fields beside them are left out. */
export function hygieneJson({ flags, secrets, similar }: HygieneFindings): HygieneFindings {
  return { flags, ...(secrets && { secrets }), ...(similar !== undefined && { similar }) };
}

/** Warns of what was noticed of a text that is in memory all the same. */
export function tellHygiene({ secrets = [], similar }: HygieneFindings, output: Output): void {
  for (const { rule, start } of secrets)
    output.warn(`At character ${start} stands what looks like a credential (${rule}).`);
  if (similar !== undefined) output.warn(`The same in another form: ${similar}.`);
}

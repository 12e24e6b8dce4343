import type { Output } from "./output.ts";
import { formatCount } from "./units.ts";

/** Tells that memories could be found by words alone, and what gives them a vector. */
export function noteSkipped({ skipped }: { readonly skipped?: number }, output: Output): void {
  if (skipped === undefined) return;
  const [have, were] = skipped === 1 ? ["memory has", "was"] : ["memories have", "were"];
  output.note(
    `${formatCount(skipped)} ${have} no vector of this model and ${were} looked for by words alone. Embed with: strata reembed`,
  );
}

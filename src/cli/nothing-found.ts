import type { Strata } from "../engine/strata.ts";
import type { Output } from "./output.ts";

/** Tells why an answer may be empty, and what to do next. */
export async function noteNothingFound(memory: Strata, output: Output): Promise<void> {
  const { memories } = await memory.stats();
  const namespace = `The namespace "${memory.namespace}"`;
  if (memories > 0) {
    output.note(`${namespace} holds nothing that matches; try other words or fewer filters.`);
    return;
  }
  const others = (await memory.namespaces()).filter((name) => name !== memory.namespace);
  const elsewhere = others.length > 0 ? ` Others hold something: strata namespaces` : "";
  output.note(`${namespace} is empty. Fill it with: strata ingest FOLDER${elsewhere}`);
}

import { readFileSync } from "node:fs";

/** The rows of a JSON Lines file, in order. @throws When the file is missing or a line is no JSON. */
export function readRows<Row>(path: string): Row[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Row);
}

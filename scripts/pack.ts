import { join } from "node:path";
import { root, runCommand } from "./repository.ts";

/** Builds the package and packs it as it would be published; returns the tarball's path in `folder`. */
export function packPackage(folder: string): string {
  runCommand(process.execPath, [join(root, "scripts/build.ts")]);
  // The build has just run; npm's own call of it would mix its output into the answer.
  const answer = runCommand("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]);
  const packed: unknown = JSON.parse(answer);
  // npm 11 answers with a list, npm 12 with an object by package name.
  const [first] = Object.values(packed as Record<string, { readonly filename: string }>);
  if (!first) throw new Error("npm pack named no tarball");
  return join(folder, first.filename);
}

/** Preloaded into examples: lets them import the package by its public names while running on src/, not on a build. */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { publicEntries, readManifest, root } from "../scripts/repository.ts";

const manifest = readManifest();
const urls = new Map<string, string>();
for (const [door, source] of publicEntries(manifest)) {
  urls.set(door.replace(".", manifest.name), pathToFileURL(join(root, source)).href);
}

registerHooks({
  resolve(specifier, context, next) {
    const url = urls.get(specifier);
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
  },
});

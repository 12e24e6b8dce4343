/** Prints what an installation of the package takes, required dependencies alone, and holds it to the promised bounds. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packPackage } from "./pack.ts";
import { runCommand } from "./repository.ts";

const maxMegabytes = 70;
const maxPackages = 40;

/** Bytes of all files under a folder. */
function bytesUnder(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}

const folder = mkdtempSync(join(tmpdir(), "strata-size-"));
try {
  const tarball = packPackage(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "size", private: true }));
  runCommand("npm", ["install", "--omit=optional", "--omit=peer", "--prefer-offline", tarball], folder);
  const modules = join(folder, "node_modules");
  const installed: { packages: Record<string, unknown> } = JSON.parse(
    readFileSync(join(modules, ".package-lock.json"), "utf8"),
  );
  const packages = Object.keys(installed.packages).sort();
  for (const place of packages) {
    console.log(`${(bytesUnder(join(folder, place)) / 1e6).toFixed(2).padStart(7)} MB  ${place.slice(13)}`);
  }
  const megabytes = bytesUnder(modules) / 1e6;
  console.log(
    `${megabytes.toFixed(2)} MB (under ${maxMegabytes}) in ${packages.length} packages (under ${maxPackages})`,
  );
  if (!(megabytes < maxMegabytes && packages.length < maxPackages)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Compiles the AssemblyScript kernel into the module that holds it as text, so that bundling needs no file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, runCommand } from "./repository.ts";

const kernels = "src/retrieval/kernels";

/** The kernel compiled anew: WebAssembly, base64. */
export async function compileKernel(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "strata-kernel-"));
  const binary = join(folder, "dot.wasm");
  try {
    // As a command: importing the compiler would put AssemblyScript's global types over Node's.
    runCommand("asc", [
      ...[`${kernels}/dot.as.ts`, "--outFile", binary, "-O3", "--noAssert", "--enable", "simd"],
      ...["--runtime", "stub", "--importMemory", "--maximumMemory", "65536"],
    ]);
    return readFileSync(binary).toString("base64");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const text = await compileKernel();
  const lines = text.match(/.{1,96}/g)!.map((line) => `  "${line}"`);
  writeFileSync(
    join(root, kernels, "dot-kernel.ts"),
    `/** The compiled kernel of dot.as.ts, base64. Made by scripts/compile-kernel.ts; do not edit. */\nexport const dotKernel: string =\n${lines.join(" +\n")};\n`,
  );
}

/** Compiles the AssemblyScript kernels into the modules that hold them as text, so that bundling needs no file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, runCommand } from "./repository.ts";

/** Sources, `NAME.as.ts`; each is compiled into `NAME-kernel.ts` beside it. */
export const kernels = ["src/retrieval/kernels/dot", "src/embedding/models/kernels/rows"] as const;

/** A kernel compiled anew: WebAssembly, base64. */
export async function compileKernel(kernel: (typeof kernels)[number]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "strata-kernel-"));
  const binary = join(folder, "kernel.wasm");
  try {
    // As a command: importing the compiler would put AssemblyScript's global types over Node's.
    runCommand("asc", [
      ...[`${kernel}.as.ts`, "--outFile", binary, "-O3", "--noAssert", "--enable", "simd"],
      ...["--runtime", "stub", "--importMemory", "--maximumMemory", "65536"],
    ]);
    return readFileSync(binary).toString("base64");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  for (const kernel of kernels) {
    const text = await compileKernel(kernel);
    const lines = text.match(/.{1,96}/g)!.map((line) => `  "${line}"`);
    const name = kernel.split("/").at(-1)!;
    writeFileSync(
      join(root, `${kernel}-kernel.ts`),
      `/** The compiled kernel of ${name}.as.ts, base64. Made by scripts/compile-kernel.ts; do not edit. */\nexport const ${name}Kernel: string =\n${lines.join(" +\n")};\n`,
    );
  }
}

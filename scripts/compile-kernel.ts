// Compiles the AssemblyScript kernel into the module that holds it as text, so that bundling needs no file.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The kernel compiled anew: WebAssembly, base64. */
export async function compileKernel(): Promise<string> {
  const { default: asc } = await import("assemblyscript/asc");
  const source = fileURLToPath(new URL("../src/retrieval/kernels/dot.as.ts", import.meta.url));
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    // prettier-ignore
    [
      "dot.as.ts",
      "--outFile",
      "dot.wasm",
      "-O3",
      "--noAssert",
      "--enable",
      "simd",
      "--runtime",
      "stub",
      "--importMemory",
      "--maximumMemory",
      "65536",
    ],
    {
      readFile: async (name) => {
        if (name !== "dot.as.ts") return null;
        const { readFile } = await import("node:fs/promises");
        return readFile(source, "utf8");
      },
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary)
    throw new Error(`The kernel does not compile: ${stderr.toString()}`, { cause: error });
  return Buffer.from(binary).toString("base64");
}

if (import.meta.main) {
  const text = await compileKernel();
  const lines = text.match(/.{1,96}/g)!.map((line) => `  "${line}"`);
  const target = new URL("../src/retrieval/kernels/dot-kernel.ts", import.meta.url);
  writeFileSync(
    target,
    `/** The compiled kernel of dot.as.ts, base64. Made by scripts/compile-kernel.ts; do not edit. */\nexport const dotKernel: string =\n${lines.join(" +\n")};\n`,
  );
}

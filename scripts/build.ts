/**
 * Builds dist/: JavaScript bundled by esbuild, declarations emitted by tsc.
 *
 * Bundled, because a start that reads few files is a fast start: the library in modules that are split by need, the
 * command in one file that evaluates its parts by need. Packages that package.json lists as development dependencies are bundled too, with
 * their licences; those it lists as dependencies or peers stay outside.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { type BuildOptions, build, type Metafile, type OutputFile, type Plugin } from "esbuild";
import { publicEntries, readManifest, root, runCommand } from "./repository.ts";

const source = join(root, "src");
const output = join(root, "dist");

/** What bin/strata.js loads; not a public door. */
const commandEntry = "src/cli/main.ts";
const commandOutput = "dist/cli/main.cjs";

/** Stands for the way from an output file to dist/, which is known only once esbuild has placed the code. */
const toOutput = "@to-output@";

const moduleUrl = /\bimport\.meta\.url\b/g;
const workerUrl = /new URL\(\s*"(\.[^"]+)\.ts",\s*import\.meta\.url\s*\)/g;

/**
 * Keeps `new URL("…", import.meta.url)` true: bundled code moves to other files, so each module's URL becomes the one
 * it would have had if src/ had been compiled file by file into dist/. TypeScript files named that way are workers and
 * are built too.
 */
function keepModuleUrls(workers: Set<string>): Plugin {
  return {
    name: "keep-module-urls",
    setup(context) {
      context.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (/\bimport\.meta\.(dirname|filename)\b/.test(text)) {
          return { errors: [{ text: "Write import.meta.url, the one form that survives bundling." }] };
        }
        if (!path.startsWith(source + sep) || !text.includes("import.meta.url")) return undefined;
        for (const [, target] of text.matchAll(workerUrl)) {
          workers.add(relative(root, resolve(dirname(path), `${target}.ts`)));
        }
        const place = relative(source, path).split(sep).join("/").replace(/ts$/, "js");
        const contents = text
          .replace(workerUrl, (url) => url.replace('.ts"', '.js"'))
          .replace(moduleUrl, `new URL("${toOutput}/${place}", import.meta.url).href`);
        return { contents, loader: "ts" };
      });
    },
  };
}

/**
 * Stands in for two of Node's modules in bundled packages: importing either costs two to three milliseconds of every
 * start, for `process`, which is a global too, and for commands in files of their own, which there are none of.
 */
const cheapBuiltins: Plugin = {
  name: "cheap-builtins",
  setup(context) {
    const contents = new Map([
      ["node:process", "export default globalThis.process;"],
      [
        "node:child_process",
        'export default { spawn: (...words) => process.getBuiltinModule("node:child_process").spawn(...words) };',
      ],
    ]);
    context.onResolve({ filter: /^node:(process|child_process)$/ }, ({ path, importer }) =>
      importer.includes(`${sep}node_modules${sep}`) ? { path, namespace: "cheap-builtins" } : undefined,
    );
    context.onLoad({ filter: /./, namespace: "cheap-builtins" }, ({ path }) => ({
      contents: contents.get(path)!,
    }));
  },
};

/** Licences of the packages whose code is in the build. */
function collectLicences(metafiles: readonly Metafile[]): string {
  const packages = new Set<string>();
  for (const input of metafiles.flatMap(({ inputs }) => Object.keys(inputs))) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
    if (folder !== undefined) packages.add(folder);
  }
  const texts = [...packages].sort().map((folder) => {
    const file = readdirSync(join(root, folder)).find((name) => /^licen[cs]e(\.|$)/i.test(name));
    if (file === undefined) throw new Error(`Expected a licence in ${folder}; found none.`);
    const { name, version } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    return `${name} ${version}\n\n${readFileSync(join(root, folder, file), "utf8").trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

/** What both builds have in common. */
function commonOptions(workers: Set<string>): BuildOptions & { write: false; metafile: true } {
  const { dependencies, peerDependencies } = readManifest();
  return {
    absWorkingDir: root,
    bundle: true,
    external: [...Object.keys(dependencies ?? {}), ...Object.keys(peerDependencies ?? {})],
    platform: "node",
    target: "node24",
    charset: "utf8",
    write: false,
    metafile: true,
    logLevel: "warning",
    plugins: [keepModuleUrls(workers), cheapBuiltins],
  };
}

function writeOutputs(files: readonly OutputFile[]): void {
  for (const file of files) {
    const back = relative(dirname(file.path), output).split(sep).join("/") || ".";
    mkdirSync(dirname(file.path), { recursive: true });
    writeFileSync(file.path, file.text.replaceAll(toOutput, back));
  }
}

/** The library: modules that share what they have in common. Returns what they and their workers are made from. */
async function bundleLibrary(entries: readonly string[]): Promise<Metafile> {
  const workers = new Set<string>();
  const result = await build({
    ...commonOptions(workers),
    entryPoints: [...entries],
    outbase: "src",
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    splitting: true,
    format: "esm",
  });
  const missing = [...workers].filter((worker) => !entries.includes(worker));
  if (missing.length > 0) return bundleLibrary([...entries, ...missing]);
  writeOutputs(result.outputFiles);
  return result.metafile;
}

/**
 * The command: one file, in which a module, and what it asks of Node, is loaded when it is first needed. A start
 * takes an eighth less than over the library's modules, which Node finds, links and evaluates one by one.
 */
async function bundleCommand(): Promise<Metafile> {
  const result = await build({
    ...commonOptions(new Set()),
    entryPoints: [commandEntry],
    outfile: commandOutput,
    format: "cjs",
    minifyWhitespace: true,
    minifySyntax: true,
    define: { "import.meta.url": "commandUrl" },
    banner: { js: 'const commandUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  writeOutputs(result.outputFiles);
  return result.metafile;
}

/** Declarations of what the public doors reach, and of nothing else. */
function declare(entries: readonly string[]): void {
  const project = join(output, "tsconfig.json");
  const options = {
    noEmit: false,
    emitDeclarationOnly: true,
    rootDir: source,
    outDir: output,
    typeRoots: [join(root, "node_modules/@types")],
  };
  const files = entries.map((entry) => join(root, entry));
  writeFileSync(
    project,
    JSON.stringify({
      extends: "../tsconfig.json",
      compilerOptions: options,
      files,
      include: [],
      exclude: [],
    }),
  );
  runCommand("tsc", ["-p", project]);
  rmSync(project);
}

const doors = [...publicEntries(readManifest()).values()];
rmSync(output, { recursive: true, force: true });
try {
  const metafiles = [await bundleLibrary(doors), await bundleCommand()];
  writeFileSync(join(output, "THIRD-PARTY-LICENCES.txt"), collectLicences(metafiles));
  declare(doors);
} catch (error) {
  // esbuild has told its errors by now; tsc's are in the message. The stack of this script would hide both.
  if (!(error instanceof Error && "errors" in error))
    console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

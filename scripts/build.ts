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
import { commandTable } from "../src/cli/command-table.ts";
import { publicEntries, readManifest, root, runCommand } from "./repository.ts";

const source = join(root, "src");
const output = join(root, "dist");

/** What bin/strata.js loads, and what that loads but for the version; no public doors. */
const commandEntry = "src/cli/main.ts";
const startEntry = "src/cli/start.ts";

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

/** Text of one byte a character. esbuild leaves regular expressions as they are. */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => {
    if (/[\ud800-\udfff]/.test(unit))
      throw new Error("Write characters beyond the basic plane as \\u{…} in regular expressions.");
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * Modules of Node that take milliseconds to load, and of which most commands need nothing, are loaded when one of
 * their functions is first called: crypto takes 4 ms, zlib 2, fs/promises and perf_hooks 1.5 each.
 */
function withLateBuiltins(text: string): string {
  const late = /=require\("(node:(?:crypto|zlib|os|perf_hooks|worker_threads|[a-z]+\/promises))"\)/g;
  return text.replace(late, '=late("$1")');
}

/**
 * In the built command: a module of Node whose exports are looked up at each use; and a stand-in for `performance`,
 * the first look at which loads perf_hooks.
 */
const lateNames = `
const late = (name) => new Proxy({}, { get: (_, key) => require(name)[key] });
const latePerformance = {
  now: () => process.uptime() * 1e3,
  get timeOrigin() { return Date.now() - process.uptime() * 1e3; },
  eventLoopUtilization: (...since) => performance.eventLoopUtilization(...since),
};`;

/** picocolors asks for standard output when it is loaded, which makes the stream; here it is told what to do. */
const noQuestions: Plugin = {
  name: "no-questions",
  setup(context) {
    context.onLoad({ filter: /picocolors\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const contents = text.replace("(p.stdout || {}).isTTY", "false");
      return contents === text ? { errors: [{ text: "picocolors asks in another way." }] } : { contents };
    });
  },
};

function writeOutputs(files: readonly OutputFile[], finished = (text: string): string => text): void {
  for (const file of files) {
    const back = relative(dirname(file.path), output).split(sep).join("/") || ".";
    mkdirSync(dirname(file.path), { recursive: true });
    writeFileSync(file.path, finished(file.text.replaceAll(toOutput, back)));
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

/** In the built command, the one import of start.ts is of what loads it with the code of an earlier run. */
const compiledStart: Plugin = {
  name: "compiled-start",
  setup(context) {
    context.onResolve({ filter: /^\.\/start\.ts$/ }, ({ importer }) =>
      importer === join(root, commandEntry) ? { path: join(source, "cli/compiled-start.ts") } : undefined,
    );
  },
};

/**
 * The command: a small file, and one with all its code as a function of what CommonJS gives a file, in which a module,
 * and what it asks of Node, is loaded when it is first needed. A start takes an eighth less than over the library's
 * modules, which Node finds, links and evaluates one by one.
 */
async function bundleCommand(): Promise<Metafile[]> {
  const options: BuildOptions & { write: false; metafile: true } = {
    ...commonOptions(new Set()),
    format: "cjs",
    minifyWhitespace: true,
    minifySyntax: true,
    // One byte a character, so that the file is its text.
    charset: "ascii",
    outdir: "dist/cli",
    outExtension: { ".js": ".cjs" },
  };
  const commandUrl = 'const commandUrl = require("node:url").pathToFileURL(__filename).href;';
  const start = await build({
    ...options,
    entryPoints: [startEntry],
    plugins: [...(options.plugins ?? []), noQuestions],
    define: { "import.meta.url": "commandUrl", performance: "latePerformance" },
    banner: { js: `(function(exports, require, module, __filename, __dirname) {${commandUrl}${lateNames}` },
    footer: { js: "})" },
  });
  writeOutputs(start.outputFiles, (text) => inAscii(withLateBuiltins(text)));
  const main = await build({
    ...options,
    entryPoints: [commandEntry],
    plugins: [...(options.plugins ?? []), compiledStart],
    define: {
      "import.meta.url": "commandUrl",
      startHash: JSON.stringify(start.outputFiles[0]!.hash.replace(/\W/g, "")),
      commandNames: JSON.stringify(commandTable.map(({ name }) => name)),
    },
    banner: { js: commandUrl },
  });
  writeOutputs(main.outputFiles);
  return [start.metafile, main.metafile];
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
  const metafiles = [await bundleLibrary(doors), ...(await bundleCommand())];
  writeFileSync(join(output, "THIRD-PARTY-LICENCES.txt"), collectLicences(metafiles));
  declare(doors);
} catch (error) {
  // esbuild has told its errors by now; tsc's are in the message. The stack of this script would hide both.
  if (!(error instanceof Error && "errors" in error))
    console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

import { CommanderError } from "commander";
import { StrataError } from "../contract/errors.ts";
import { Interrupted } from "./interrupted.ts";
import type { Io } from "./io.ts";
import { Output } from "./output.ts";
import { buildProgram } from "./program.ts";

/**
 * Runs one command line to its end: `run(["recall", "how?"], io)`. Never rejects.
 * @returns The exit code: 0, that of the error's code, or 130 after an interrupt.
 */
export async function run(argv: readonly string[], io: Io, signal?: AbortSignal): Promise<number> {
  const abort = signal ?? new AbortController().signal;
  let exitCode = 0;
  try {
    const surroundings = { io, signal: abort, setExitCode: (code: number) => (exitCode = code) };
    await buildProgram(surroundings).parseAsync(withHelp(argv), { from: "user" });
    return exitCode;
  } catch (error) {
    const { reason } = abort;
    if (abort.aborted && reason instanceof Interrupted) return reason.exitCode;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return outputFor(argv, io).error(error instanceof CommanderError ? badUse(error) : error);
  }
}

/** `strata` alone shows the help, and `strata help recall` is `strata recall --help`. */
function withHelp(argv: readonly string[]): string[] {
  if (argv.length === 0) return ["--help"];
  return argv[0] === "help" ? [...argv.slice(1), "--help"] : [...argv];
}

/** An error may come before the options are understood, so these are looked for by name. */
function outputFor(argv: readonly string[], io: Io): Output {
  const end = argv.indexOf("--");
  const options = end < 0 ? argv : argv.slice(0, end);
  return new Output(io, { json: options.includes("--json"), color: !options.includes("--no-color") });
}

function badUse(error: CommanderError): StrataError {
  const sentence = error.message
    .replace(/^error: /, "")
    .replace(/\n\(Did you mean (.+)\?\)$/, "; did you mean $1?");
  if (error.code === "commander.unknownOption") {
    const text = /unknown option '[^']*\s[^']*'/.test(sentence);
    const advice = text ? ' Text that begins with "-" goes after "--".' : "";
    return new StrataError("UNKNOWN_OPTION", `${capitalised(sentence)}${advice}`);
  }
  return new StrataError("INVALID_ARGUMENT", capitalised(sentence));
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1) + (/[.?]$/.test(sentence) ? "" : ".");
}

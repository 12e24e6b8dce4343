import { Command } from "commander";
import { commandTable } from "./command-table.ts";
import { type GlobalOptions, wantsColour } from "./output.ts";
import { packageVersion } from "./package-version.ts";
import { Session, type Surroundings } from "./session.ts";

const examples = `
Examples:
  strata ingest docs/                        read a folder
  strata recall "how do I rotate keys?"      ask it
  strata store "Ada prefers tea" --tags ada  store one memory
  strata stats                               what is in there

A command's own options and examples: strata COMMAND --help`;

/**
 * The command line: global options, and every command by name and summary. A command's own arguments and options are
 * declared when it is the one to run.
 */
export function buildProgram(surroundings: Surroundings): Command {
  const { io } = surroundings;
  const program: Command = new Command("strata")
    .description("The memory of your agents: one file, recalled by meaning and by words.")
    .usage("COMMAND [options]")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .option("-n, --namespace <name>", 'namespace (default: STRATA_NAMESPACE, else "default")')
    .option(
      "--db <file>",
      "database file (default: STRATA_PATH, else .strata/memory.db upward, else your data folder)",
    )
    .option(
      "--config <file>",
      "configuration file (default: STRATA_CONFIG, else yours and over it strata.toml beside .strata)",
    )
    .option("--json", "results as JSON on stdout, errors as JSON on stderr")
    .option("-q, --quiet", "results and errors only")
    .option("--no-color", "no colour (also: NO_COLOR)")
    .addHelpText("after", examples)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, styleTitle: (title) => `\u001b[1m${title}\u001b[22m` })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are told once, by the one place that knows their codes.
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 100),
      getOutHasColors: (): boolean => wantsColour(io.stdout, program.opts<GlobalOptions>(), io.environment),
    });
  for (const { name, group, summary, hidden } of commandTable) {
    program
      .command(name, { hidden: hidden === true })
      .summary(summary)
      .helpGroup(group);
  }
  program.hook("preSubcommand", (_, command) => declareCommand(command, surroundings));
  return program;
}

/** Loads a command's module and lets it declare itself. */
async function declareCommand(command: Command, surroundings: Surroundings): Promise<void> {
  const row = commandTable.find(({ name }) => name === command.name())!;
  const module = await row.load();
  const options = command.optsWithGlobals<GlobalOptions>();
  module.declare(command, new Session(surroundings, options, (other) => declareCommand(other, surroundings)));
}

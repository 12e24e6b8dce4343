import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { type ConfigSources, configOf, readSettings } from "../../config/config.ts";
import { fileName, userConfigPath } from "../../config/config-file.ts";
import { configTemplate, splitKey, toml } from "../../config/config-template.ts";
import type { Layers, ResolvedSetting } from "../../config/layers.ts";
import { StrataError } from "../../contract/errors.ts";
import { addExamples } from "../flag-values.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description("Show, check and make the configuration.")
    .helpCommand(false)
    .action(() => {
      throw new StrataError("INVALID_ARGUMENT", "Expected one of show, check, init after: strata config");
    });
  command
    .command("show")
    .description("Show every setting that is in force, as a configuration file has them.")
    .option("--origin", "tell where each value comes from")
    .option("--changed", "only what is not the default")
    .action((flags: ShowFlags) => show(flags, session));
  command
    .command("check")
    .description(
      "Check the configuration: unknown keys, wrong values, settings that mean something else than in the reference. Exits with 2 when something is wrong.",
    )
    .argument("[file]", "a configuration file (default: those in use)")
    .action((file: string | undefined) => check(file, session));
  command
    .command("init")
    .description(`Write a ${fileName} with every setting, commented out, beside the .strata folder.`)
    .option("--user", "write your own file instead, for all projects")
    .action((flags: { readonly user?: boolean }) => init(flags.user === true, session));
  addExamples(command, [
    ["strata config show --origin", "what is in force, and why"],
    ["strata config check strata.toml", ""],
    ["strata config init", "a file to fill in"],
  ]);
}

interface ShowFlags {
  readonly origin?: boolean;
  readonly changed?: boolean;
}

function surroundings({ io }: Session): ConfigSources {
  return { cwd: io.cwd, environment: io.environment };
}

async function show({ origin, changed }: ShowFlags, session: Session): Promise<void> {
  const layers = await readSettings(session.overrides, surroundings(session));
  const { output } = session;
  const config = configOf(layers, surroundings(session));
  const shown = layers.settings.filter((each) => changed !== true || each.origin !== "default");
  const values = shown.map(({ setting, value, origin: from }) => [
    setting.key,
    { ...(value !== undefined && { value }), origin: from },
  ]);
  output.result(
    { files: layers.files, database: config.database, settings: Object.fromEntries(values) },
    () => formatSettings(shown, origin === true, output.style),
  );
  if (layers.files.length === 0)
    output.note("No configuration file takes part. Make one with: strata config init");
}

/** Settings as a configuration file has them; with `origin` where each comes from. */
function formatSettings(shown: readonly ResolvedSetting[], origin: boolean, style: Style): string {
  const lines: string[] = [];
  let section = "";
  for (const { setting, value, origin: from } of shown) {
    const [name, key] = splitKey(setting.key);
    if (name !== section) {
      section = name;
      lines.push(...(lines.length > 0 ? [""] : []), style.bold(`[${section}]`));
    }
    const line = value === undefined ? style.dim(`# ${key} is not set`) : `${key} = ${toml(value)}`;
    lines.push(origin ? `${line.padEnd(44)} ${style.dim(`# ${from}`)}` : line);
  }
  return lines.join("\n");
}

async function check(file: string | undefined, session: Session): Promise<void> {
  const { output, io } = session;
  const overrides = {
    ...session.overrides,
    ...(file !== undefined && { configFile: resolve(io.cwd, file) }),
  };
  const layers = await readSettings(overrides, surroundings(session));
  const { problems, notices } = judge(layers, surroundings(session));
  const json = {
    files: layers.files,
    problems: problems.map(({ code, message, details }) => ({ code, message, details })),
    notices,
  };
  output.result(json, () =>
    [
      ...problems.map(
        ({ message, code }) => `${output.style.red("problem")}  ${message} ${output.style.dim(`[${code}]`)}`,
      ),
      ...notices.map((notice) => `${output.style.yellow("notice")}   ${notice}`),
      problems.length === 0
        ? output.style.green(`Sound: ${plural(layers.files.length, "file")}, the environment and the flags.`)
        : plural(problems.length, "problem"),
    ].join("\n"),
  );
  const [first] = problems;
  if (first) session.surroundings.setExitCode(first.exitCode);
}

/** Problems of single values, or if there are none, of values together. */
function judge(layers: Layers, sources: ConfigSources): Pick<Layers, "problems" | "notices"> {
  if (layers.problems.length > 0) return layers;
  try {
    return { problems: [], notices: configOf(layers, sources).notices };
  } catch (error) {
    if (!StrataError.isInstance(error)) throw error;
    return { problems: [error], notices: layers.notices };
  }
}

function init(user: boolean, { io, output }: Session): void {
  const path = user ? userConfigPath() : join(io.cwd, fileName);
  if (existsSync(path))
    throw new StrataError("INVALID_ARGUMENT", `There is a ${fileName} already; it was left as it is.`, {
      details: { path },
    });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, configTemplate(), { flag: "wx" });
  output.result({ file: path }, () => path);
  if (!user && !existsSync(join(io.cwd, ".strata")))
    output.note("It is read where a .strata folder stands beside it. Make one with: strata init");
}

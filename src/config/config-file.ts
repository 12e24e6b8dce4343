import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import envPaths from "env-paths";
import { StrataError } from "../contract/errors.ts";
import { nearestStrataFolder } from "./database-path.ts";

/** Which rule named a configuration file. */
export type FileOrigin = "given" | "STRATA_CONFIG" | "project" | "user";

/** A configuration file that takes part. */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  readonly origin: FileOrigin;
}

/** Where files are looked for. */
export interface FileSources {
  /** Absent: the rules decide; false: no file. */
  readonly configFile?: string | false | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The user's folder for configuration of this program. */
  readonly configFolder?: string | undefined;
}

export const fileName = "strata.toml";

/** The user's file: lowest of all, there or not. */
export function userConfigPath(configFolder?: string): string {
  return join(configFolder ?? envPaths("strata", { suffix: "" }).config, fileName);
}

/**
 * The files that take part, the weaker first: the user's, then the project's, `strata.toml` beside the `.strata`
 * folder in use. A file that is named stands alone, and has to exist.
 */
export function configFiles(sources: FileSources): ConfigFile[] {
  const { configFile, environment, cwd, configFolder } = sources;
  if (configFile === false) return [];
  if (configFile !== undefined) return [{ path: resolve(cwd, configFile), origin: "given" }];
  const named = environment["STRATA_CONFIG"];
  if (named) return [{ path: resolve(cwd, named), origin: "STRATA_CONFIG" }];
  const folder = nearestStrataFolder(cwd);
  const files: ConfigFile[] = [{ path: userConfigPath(configFolder), origin: "user" }];
  if (folder !== undefined) files.push({ path: join(dirname(folder), fileName), origin: "project" });
  return files.filter(({ path }) => existsSync(path));
}

/**
 * Values of a file by key, sections joined with dots, as TOML has them.
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_CONFIGURATION
 */
export async function readConfigFile({ path }: ConfigFile): Promise<Map<string, unknown>> {
  const details = { path };
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (cause) {
    const missing = cause instanceof Error && Reflect.get(cause, "code") === "ENOENT";
    throw missing
      ? new StrataError("FILE_NOT_FOUND", `There is no configuration file ${path}.`, { cause, details })
      : new StrataError("FILE_UNREADABLE", `The configuration file ${path} cannot be read.`, {
          cause,
          details,
        });
  }
  // Loaded for a file alone: most memories are opened without one.
  const { parse, TomlError } = await import("smol-toml");
  try {
    return flat(parse(source));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new StrataError(
      "INVALID_CONFIGURATION",
      `The configuration file ${path} is no TOML: line ${error.line}, column ${error.column}.`,
      { details: { ...details, line: error.line, column: error.column } },
    );
  }
}

function flat(table: Readonly<Record<string, unknown>>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(table)) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Date)
      values.set(key, value);
    else for (const [name, each] of Object.entries(value)) values.set(`${key}.${name}`, each);
  }
  return values;
}

import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import envPaths from "env-paths";

/** Which rule named the database file. */
export type PathOrigin =
  | "given"
  | "environment"
  | "configuration file"
  | "nearest .strata folder"
  | "user's data folder";

export interface DatabasePath {
  /** Absolute. */
  readonly path: string;
  readonly origin: PathOrigin;
}

/** Where the rules look; each defaults to the process's own. */
export interface PathSurroundings {
  readonly cwd?: string | undefined;
  /** Folder for the user's data of this program. */
  readonly dataFolder?: string | undefined;
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** The nearest folder upward from `start`, itself included, that has a `.strata` folder. */
export function nearestStrataFolder(start: string): string | undefined {
  let folder = existsSync(start) ? realpathSync(start) : resolve(start);
  for (;;) {
    const candidate = join(folder, ".strata");
    if (isFolder(candidate)) return candidate;
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

/**
 * The database file when none is named: `.strata/memory.db` in the nearest folder upward that has a `.strata`
 * folder, else `strata/memory.db` in the user's data folder.
 */
export function defaultDatabasePath(surroundings: PathSurroundings = {}): DatabasePath {
  const folder = nearestStrataFolder(surroundings.cwd ?? process.cwd());
  if (folder !== undefined) return { path: join(folder, "memory.db"), origin: "nearest .strata folder" };
  const dataFolder = surroundings.dataFolder ?? envPaths("strata", { suffix: "" }).data;
  return { path: join(dataFolder, "memory.db"), origin: "user's data folder" };
}

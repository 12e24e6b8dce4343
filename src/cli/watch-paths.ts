import { statSync, watch } from "node:fs";
import { basename, dirname, sep } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** Editors write a file in several steps; this long after the last one it is read. */
const settleMs = 200;

/** Changes in there change no document, and there are many of them. */
function isNoise(name: string): boolean {
  return name.split(sep).some((part) => part === "node_modules" || part.startsWith("."));
}

/**
 * Calls `onChange` after something under the paths changed and was quiet for a moment, never twice at once; a change
 * during a call brings another one. Rejects with the signal's reason, or with the error of a watcher that fails: its
 * folder was removed, or the system has no more of them.
 */
export async function watchPaths(
  paths: readonly string[],
  signal: AbortSignal,
  onChange: () => Promise<void>,
): Promise<never> {
  let changed = nextChange();
  const watchers = paths.map((path) => watchPath(path, () => changed.resolve()));
  for (const watcher of watchers) watcher.on("error", (error) => changed.reject(error));
  const abort = (): void => changed.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      await changed.promise;
      await wait(settleMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      changed = nextChange();
      await onChange();
    }
  } finally {
    signal.removeEventListener("abort", abort);
    for (const watcher of watchers) watcher.close();
  }
}

/** A change to wait for; one that fails while nobody waits yet is told to the next who does. */
function nextChange(): PromiseWithResolvers<void> {
  const change = Promise.withResolvers<void>();
  change.promise.catch(() => {});
  return change;
}

/** A file is watched through its folder: editors replace it by another one of its name. */
function watchPath(path: string, tell: () => void): ReturnType<typeof watch> {
  if (statSync(path).isDirectory())
    return watch(path, { recursive: true }, (_, name) => {
      if (name === null || !isNoise(name)) tell();
    });
  return watch(dirname(path), (_, name) => {
    if (name === null || name === basename(path)) tell();
  });
}

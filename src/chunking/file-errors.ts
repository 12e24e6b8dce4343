import { StrataError } from "../contract/errors.ts";

/** What a failed call to the file system means. */
export function fileError(cause: unknown, path: string): unknown {
  if (StrataError.isInstance(cause)) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === undefined || (cause as Error).name === "AbortError") return cause;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new StrataError("FILE_NOT_FOUND", `${path} does not exist. Check the path.`, {
      cause,
      details: { path },
    });
  }
  return new StrataError("FILE_UNREADABLE", `${path} cannot be read (${code}). Check its rights.`, {
    cause,
    details: { path, code },
  });
}

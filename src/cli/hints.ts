import type { ErrorCode, StrataError } from "../contract/errors.ts";

const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  CONFIRMATION_REQUIRED: "Repeat the command with --yes to confirm.",
  DATABASE_BUSY: "Another process is writing; wait for it and repeat the command.",
  DATABASE_CORRUPT:
    'Look with "strata doctor"; then "strata doctor --repair", or "strata restore BACKUP --force".',
  DISK_FULL: "Make room on the disk and repeat the command.",
  NO_READABLE_FILES:
    "Text, Markdown, HTML, source code, JSON, PDF and DOCX are read; hidden and ignored files are not.",
  SECRET_DETECTED: "To store it all the same: --on-secret flag",
  TEXT_TOO_LARGE: "Put the text into a file and run: strata ingest FILE",
  VERSION_CONFLICT: "Look at it again with: strata get ID",
};

/** What to do about an error, as a command line's user does it; undefined where the message says it all. */
export function hintFor(error: StrataError): string | undefined {
  if (error.code === "DATABASE_NOT_FOUND") {
    const path = error.details["path"];
    const where = path === undefined ? "" : `No file at ${path}. `;
    return `${where}Begin one with: strata ingest FOLDER, or: strata store "a text"`;
  }
  return hints[error.code];
}

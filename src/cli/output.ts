import picocolors from "picocolors";
import { type ErrorCode, type ErrorDetails, StrataError } from "../contract/errors.ts";
import { hintFor } from "./hints.ts";
import type { Io, Sink } from "./io.ts";

/** Options every command takes. */
export interface GlobalOptions {
  readonly namespace?: string | undefined;
  readonly db?: string | undefined;
  readonly config?: string | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  /** False after `--no-color`. */
  readonly color?: boolean | undefined;
}

/** Functions that colour a text, or leave it as it is. */
export type Style = ReturnType<typeof picocolors.createColors>;

/** An error as `--json` tells it on standard error. */
export interface ErrorJson {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
    readonly details?: ErrorDetails;
    readonly hint?: string;
  };
}

/**
 * Colour: `--no-color`, else `NO_COLOR`, else `FORCE_COLOR` (unless 0), else on a terminal that is not a dumb one. A
 * variable that is set to nothing counts as not set.
 */
export function wantsColour(sink: Sink, options: GlobalOptions, environment: Io["environment"]): boolean {
  if (options.color === false || environment["NO_COLOR"]) return false;
  if (environment["FORCE_COLOR"]) return environment["FORCE_COLOR"] !== "0";
  return sink.isTTY === true && environment["TERM"] !== "dumb";
}

/** What a command says: results on standard output, everything else on standard error. */
export class Output {
  readonly json: boolean;
  readonly style: Style;
  /** Columns to wrap text to. */
  readonly width: number;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #errorStyle: Style;
  readonly #quiet: boolean;

  constructor(io: Io, options: GlobalOptions) {
    this.#stdout = io.stdout;
    this.#stderr = io.stderr;
    this.json = options.json === true;
    this.#quiet = options.quiet === true;
    this.style = picocolors.createColors(wantsColour(io.stdout, options, io.environment));
    this.#errorStyle = picocolors.createColors(wantsColour(io.stderr, options, io.environment));
    this.width = Math.min(Math.max(io.stdout.columns ?? 80, 40), 110);
  }

  /** The sink for live progress; undefined where nobody watches. */
  get progress(): Sink | undefined {
    return this.#stderr.isTTY === true && !this.#quiet && !this.json ? this.#stderr : undefined;
  }

  /** The one result of a command; `text` is made only when it is wanted and may be empty. */
  result(json: unknown, text: () => string): void {
    const shown = this.json ? JSON.stringify(json) : text();
    if (shown !== "") this.#stdout.write(`${shown}\n`);
  }

  /** A piece of a result as it is; resolves when there is room for the next one. */
  async write(text: string): Promise<void> {
    if (!this.#stdout.write(text))
      await new Promise<void>((resolve) => this.#stdout.once("drain", () => resolve()));
  }

  /** What helps a person and no program: left out under `--json` and `--quiet`. */
  note(text: string): void {
    if (!this.json && !this.#quiet) this.#stderr.write(`${this.#errorStyle.dim(text)}\n`);
  }

  /** Something was left out or lost while the command went on. */
  warn(text: string): void {
    if (this.#quiet) return;
    const line = this.json
      ? JSON.stringify({ warning: { message: text } })
      : `${this.#errorStyle.yellow("warning:")} ${text}`;
    this.#stderr.write(`${line}\n`);
  }

  /** Tells an error and what to do about it. Returns the exit code. */
  error(error: unknown): number {
    const told = StrataError.isInstance(error) ? error : foreign(error);
    const hint = hintFor(told);
    if (this.json) this.#stderr.write(`${JSON.stringify(errorJson(told, hint))}\n`);
    else {
      const { red, dim } = this.#errorStyle;
      this.#stderr.write(`${red("error:")} ${told.message} ${dim(`[${told.code}]`)}\n`);
      if (hint !== undefined) this.#stderr.write(`${hint}\n`);
      if (told.code === "INTERNAL" && error instanceof Error) this.#stderr.write(`${error.stack}\n`);
    }
    return told.exitCode;
  }
}

/** Errors of the system that a command meets when it reads or writes a file it was given. */
const systemCodes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "FILE_NOT_FOUND",
  ENOTDIR: "FILE_NOT_FOUND",
  EACCES: "FILE_UNREADABLE",
  EPERM: "FILE_UNREADABLE",
  EISDIR: "FILE_UNREADABLE",
  EROFS: "FILE_UNREADABLE",
  ENOSPC: "DISK_FULL",
};

function foreign(cause: unknown): StrataError {
  if (!(cause instanceof Error)) return new StrataError("INTERNAL", `Unexpected: ${String(cause)}`);
  const code = systemCodes[String(Reflect.get(cause, "code"))];
  if (code !== undefined)
    return new StrataError(code, `The system refused a file: ${cause.message}.`, { cause });
  return new StrataError("INTERNAL", `Unexpected: ${cause.message}`, { cause });
}

function errorJson(error: StrataError, hint: string | undefined): ErrorJson {
  const { code, message, retryable, details } = error;
  return {
    error: {
      code,
      message,
      retryable,
      ...(Object.keys(details).length > 0 && { details }),
      ...(hint !== undefined && { hint }),
    },
  };
}

/** Levels of importance, most important first; "silent" writes nothing. */
export const logLevels = ["silent", "error", "warn", "info", "debug"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Values of a line. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface LoggerOptions {
  /** What is less important is left out. Default "silent". */
  readonly level?: LogLevel | undefined;
  /** Lines for a reader, or JSON, one object a line. Default "text". */
  readonly format?: "text" | "json" | undefined;
  /** Takes a line with its end. Default: standard error. */
  readonly write?: ((line: string) => void) | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

const redacted = "[redacted]";
/** Names of fields that hold what people wrote, or what opens a door, whoever logs them. */
const secretName =
  /(key|token|secret|password|passwd|credential|authorization|cookie|text|content|query|question|prompt|words|tags?|metadata|vectors?|embeddings?|speaker|thread)$/i;
const maxLength = 500;

/**
 * Structured lines on standard error: time, level, event and figures. What a field holds is left out when its name
 * tells of texts or secrets, and credentials in URLs are.
 */
export class Logger {
  readonly #rank: number;
  readonly #format: "text" | "json";
  readonly #write: (line: string) => void;
  readonly #now: () => number;

  constructor(options: LoggerOptions = {}) {
    const { level = "silent", format = "text", now = Date.now } = options;
    this.#rank = logLevels.indexOf(level);
    this.#format = format;
    this.#write = options.write ?? ((line) => void process.stderr.write(line));
    this.#now = now;
  }

  /** True when lines of that level are written. */
  writes(level: LogLevel): boolean {
    return logLevels.indexOf(level) <= this.#rank;
  }

  error(event: string, fields?: LogFields): void {
    this.#log("error", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#log("warn", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#log("info", event, fields);
  }

  debug(event: string, fields?: LogFields): void {
    this.#log("debug", event, fields);
  }

  #log(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (!this.writes(level)) return;
    const time = new Date(this.#now()).toISOString();
    const safe = redact(fields) as LogFields;
    const line =
      this.#format === "json"
        ? JSON.stringify({ time, level, event, ...safe })
        : [time, level.padEnd(5), event, ...Object.entries(safe).map(asText)].join(" ");
    this.#write(`${line}\n`);
  }
}

function asText([name, value]: readonly [string, unknown]): string {
  const plain = typeof value === "string" && /^[^\s"=]+$/.test(value);
  return `${name}=${plain ? value : JSON.stringify(value)}`;
}

/** A copy that is safe to write: no secrets, no long texts, no cycles. */
function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactUrl(value).slice(0, maxLength);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 4 || ArrayBuffer.isView(value)) return redacted;
  if (Array.isArray(value)) return value.slice(0, 100).map((each) => redact(each, depth + 1));
  const entries = Object.entries(value).map(([name, each]) => [
    name,
    secretName.test(name) && typeof each !== "number" && typeof each !== "boolean"
      ? redacted
      : redact(each, depth + 1),
  ]);
  return Object.fromEntries(entries);
}

function redactUrl(text: string): string {
  return text.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, `$1${redacted}@`);
}

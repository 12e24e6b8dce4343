/** What an error code means to each surface. */
export interface ErrorKind {
  /** One sentence for the reference; an error's own message says what came and what to do. */
  readonly meaning: string;
  /** The same call may succeed later, unchanged. */
  readonly retryable: boolean;
  readonly httpStatus: number;
  /** Of the command: 1 internal, 2 bad use, 3 not found, 4 conflict, 5 store, 6 input files, 7 model, 8 limit. */
  readonly exitCode: number;
}

function kind(exitCode: number, httpStatus: number, meaning: string, retryable = false): ErrorKind {
  return { exitCode, httpStatus, meaning, retryable };
}

/** Code of an error of Strata. */
export type ErrorCode =
  | "INTERNAL"
  | "CLOSED"
  | "INVALID_ARGUMENT"
  | "UNKNOWN_OPTION"
  | "UNKNOWN_TIER"
  | "INVALID_IMPORTANCE"
  | "EMPTY_TEXT"
  | "TEXT_TOO_LARGE"
  | "INVALID_CURSOR"
  | "CONFIRMATION_REQUIRED"
  | "MISSING_PACKAGE"
  | "UNSUPPORTED_NODE"
  | "INVALID_CONFIGURATION"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "VERSION_CONFLICT"
  | "CHUNK_IMMUTABLE"
  | "SECRET_DETECTED"
  | "RECALL_LOOP"
  | "DATABASE_BUSY"
  | "DATABASE_NOT_FOUND"
  | "DATABASE_EXISTS"
  | "DATABASE_IS_DIRECTORY"
  | "NOT_A_DATABASE"
  | "DATABASE_NEWER"
  | "DATABASE_READ_ONLY"
  | "DATABASE_CORRUPT"
  | "DISK_FULL"
  | "FEED_TRUNCATED"
  | "MODEL_MISMATCH"
  | "FILE_NOT_FOUND"
  | "FILE_UNREADABLE"
  | "FILE_BINARY"
  | "FILE_ENCRYPTED"
  | "FILE_TOO_LARGE"
  | "INVALID_UTF8"
  | "NO_READABLE_FILES"
  | "CHECKSUM_MISMATCH"
  | "EMBEDDING_FAILED"
  | "EMBEDDING_INVALID"
  | "EMBEDDING_TIMEOUT"
  | "EMBEDDING_RATE_LIMITED"
  | "EMBEDDING_UNAVAILABLE"
  | "MODEL_NOT_FOUND"
  | "RERANKING_FAILED"
  | "QUEUE_FULL"
  | "BUDGET_EXCEEDED"
  | "LIMIT_REACHED";

/** Every code an error of Strata can carry. */
export const errorTable: Readonly<Record<ErrorCode, ErrorKind>> = {
  INTERNAL: kind(1, 500, "A defect of Strata: please report it."),
  CLOSED: kind(1, 503, "The object was closed before the call."),

  INVALID_ARGUMENT: kind(2, 400, "An argument has the wrong type or range."),
  UNKNOWN_OPTION: kind(2, 400, "An option of that name does not exist."),
  UNKNOWN_TIER: kind(2, 400, "The tier is none of the five."),
  INVALID_IMPORTANCE: kind(2, 400, "Importance is not a number from 0 to 1."),
  EMPTY_TEXT: kind(2, 400, "The text is empty or only white space."),
  TEXT_TOO_LARGE: kind(2, 413, "The text is longer than one memory may be; ingest it as a document."),
  INVALID_CURSOR: kind(2, 400, "The cursor was not made by this store or is damaged."),
  CONFIRMATION_REQUIRED: kind(2, 400, "The call removes much and was not confirmed."),
  MISSING_PACKAGE: kind(2, 501, "The feature needs an optional package that is not installed."),
  UNSUPPORTED_NODE: kind(2, 500, "The running Node.js is older than 24."),
  INVALID_CONFIGURATION: kind(2, 400, "A configuration value or key cannot be used."),

  NOT_FOUND: kind(3, 404, "No visible memory, document, run or snapshot has that id or name."),

  ALREADY_EXISTS: kind(4, 409, "Another memory has that id or idempotency key."),
  VERSION_CONFLICT: kind(4, 409, "The memory changed since the version the caller saw."),
  CHUNK_IMMUTABLE: kind(
    4,
    409,
    "The text of a document's chunk changes only by ingesting the document again.",
  ),

  SECRET_DETECTED: kind(4, 422, "The text holds what looks like a credential, and such texts are refused."),
  RECALL_LOOP: kind(4, 409, "The text repeats what was just recalled, and such texts are refused."),
  DATABASE_BUSY: kind(5, 503, "Another process held the database for longer than the deadline.", true),
  DATABASE_NOT_FOUND: kind(5, 404, "The database file does not exist and was not to be created."),
  DATABASE_EXISTS: kind(5, 409, "A file stands at the path already and was not to be replaced."),
  DATABASE_IS_DIRECTORY: kind(5, 400, "The database path is a folder."),
  NOT_A_DATABASE: kind(5, 400, "The file is not a Strata database."),
  DATABASE_NEWER: kind(5, 409, "The database was written by a newer Strata."),
  DATABASE_READ_ONLY: kind(5, 403, "The database cannot be written with the rights of this process."),
  DATABASE_CORRUPT: kind(5, 500, "The database file is damaged."),
  DISK_FULL: kind(5, 507, "The disk has no room for the write; nothing of it was kept.", true),
  FEED_TRUNCATED: kind(
    5,
    410,
    "The change feed no longer reaches back to the cursor; rebuild what follows it.",
  ),
  MODEL_MISMATCH: kind(5, 409, "The namespace's vectors were made by another model."),

  FILE_NOT_FOUND: kind(6, 404, "The file or folder does not exist."),
  FILE_UNREADABLE: kind(6, 422, "The file cannot be read or parsed."),
  FILE_BINARY: kind(6, 415, "The file's format is not one that is read."),
  FILE_ENCRYPTED: kind(6, 422, "The file is encrypted."),
  FILE_TOO_LARGE: kind(6, 413, "The file is larger than the limit."),
  INVALID_UTF8: kind(6, 422, "The text is not valid UTF-8."),
  NO_READABLE_FILES: kind(6, 422, "Nothing under the given path could be read."),
  CHECKSUM_MISMATCH: kind(6, 422, "The file's content does not agree with its checksum."),

  EMBEDDING_FAILED: kind(7, 502, "The embedding model failed on the text."),
  EMBEDDING_INVALID: kind(7, 502, "The embedding model's answer has the wrong length, dimension or numbers."),
  EMBEDDING_TIMEOUT: kind(7, 504, "The embedding model did not answer within the deadline.", true),
  EMBEDDING_RATE_LIMITED: kind(7, 429, "The embedding service refused the rate of calls.", true),
  EMBEDDING_UNAVAILABLE: kind(7, 503, "The embedding service could not be reached or broke off.", true),
  MODEL_NOT_FOUND: kind(7, 404, "The model or one of its files is missing."),

  RERANKING_FAILED: kind(7, 502, "The reranker answered wrongly or not at all.", true),

  QUEUE_FULL: kind(8, 503, "The bounded queue has no room.", true),
  BUDGET_EXCEEDED: kind(8, 402, "The budget set for embeddings is spent."),
  LIMIT_REACHED: kind(8, 409, "As many of them are there as may be: remove one first."),
};

const marker: unique symbol = Symbol.for("strata-memory.error");

/** Facts an error carries beside its message: counts, ids, names, hashes; never a text, a vector or a key. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/** Every error Strata throws on purpose. */
export class StrataError extends Error {
  override readonly name = "StrataError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** @param message What was expected, what came, and what to do next. Never the user's text, vectors or keys. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; details?: ErrorDetails }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options?.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  get httpStatus(): number {
    return errorTable[this.code].httpStatus;
  }

  get exitCode(): number {
    return errorTable[this.code].exitCode;
  }

  /** True for an error of any copy of this package, so that duplicate installs still recognise each other's. */
  static isInstance(value: unknown): value is StrataError {
    return typeof value === "object" && value !== null && Reflect.get(value, marker) === true;
  }
}

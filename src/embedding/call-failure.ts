import { StrataError } from "../contract/errors.ts";

/** What a failed call to a model means for what is done next. */
export interface CallFailure {
  /** The same call may succeed later. */
  readonly transient: boolean;
  /** The service asked for fewer calls. */
  readonly rateLimited: boolean;
  /** One text may be the cause: the same texts in smaller batches may succeed. */
  readonly mayBeContent: boolean;
  /** Least time the service asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** What the callers get. */
  readonly error: StrataError;
}

const transientStatus = new Set([408, 409, 425, 429, 500, 502, 503, 504, 529]);

/** Refusals that no other choice of texts changes: key, payment, rights, address. */
const hopelessStatus = new Set([401, 402, 403, 404, 405, 407, 410]);

/** Codes of Node.js and of undici for a connection that was refused, lost or never answered. */
const connectionCode =
  /^(ECONN\w+|EPIPE|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENOTFOUND|UND_ERR_\w+)$/;

/** Causes of causes looked at. */
const maxDepth = 5;

/** Reads errors of fetch, of the usual HTTP clients and of provider packages; `now` is milliseconds since 1970. */
export function readFailure(error: unknown, modelId: string, now: number): CallFailure {
  const status = findStatus(error);
  const connection = status === undefined && hasConnectionCode(error);
  const own = StrataError.isInstance(error) ? error : undefined;
  const rateLimited = status === 429 || own?.code === "EMBEDDING_RATE_LIMITED";
  const transient =
    own?.retryable ?? (connection || rateLimited || (status !== undefined && transientStatus.has(status)));
  return {
    transient,
    rateLimited,
    // Some services answer 500 to a text they cannot digest.
    mayBeContent: status === 500 || (!transient && (status === undefined || !hopelessStatus.has(status))),
    retryAfterMs: findRetryAfter(error, now),
    error: own ?? wrap(error, modelId, status, rateLimited, connection),
  };
}

function wrap(
  cause: unknown,
  modelId: string,
  status: number | undefined,
  rateLimited: boolean,
  connection: boolean,
): StrataError {
  if (rateLimited)
    return new StrataError(
      "EMBEDDING_RATE_LIMITED",
      `Expected vectors from the embedding model ${modelId}, got refusals for too many calls. ` +
        "Lower the concurrency or raise maxRetries.",
      { cause },
    );
  const what =
    status !== undefined ? `HTTP status ${status}` : connection ? "a lost connection" : "an error of its own";
  return new StrataError(
    "EMBEDDING_FAILED",
    `Expected vectors from the embedding model ${modelId}, got ${what}; its cause is attached.`,
    status === undefined ? { cause } : { cause, details: { status } },
  );
}

function* causes(error: unknown): Generator<object> {
  let current = error;
  for (let depth = 0; depth < maxDepth && typeof current === "object" && current !== null; depth++) {
    yield current;
    current = Reflect.get(current, "cause");
  }
}

function findStatus(error: unknown): number | undefined {
  for (const cause of causes(error)) {
    const response: unknown = Reflect.get(cause, "response");
    for (const holder of [cause, response]) {
      if (typeof holder !== "object" || holder === null) continue;
      const status: unknown = Reflect.get(holder, "status") ?? Reflect.get(holder, "statusCode");
      if (typeof status === "number") return status;
    }
  }
  return undefined;
}

function hasConnectionCode(error: unknown): boolean {
  for (const cause of causes(error)) {
    const code: unknown = Reflect.get(cause, "code");
    if (typeof code === "string" && connectionCode.test(code)) return true;
  }
  return false;
}

function findRetryAfter(error: unknown, now: number): number | undefined {
  for (const cause of causes(error)) {
    const own: unknown = Reflect.get(cause, "retryAfterMs");
    if (typeof own === "number" && own >= 0) return own;
    const response: unknown = Reflect.get(cause, "response");
    const holders = [Reflect.get(cause, "headers"), Reflect.get(cause, "responseHeaders")];
    if (typeof response === "object" && response !== null) holders.push(Reflect.get(response, "headers"));
    for (const headers of holders) {
      const found = retryAfterOf(headers, now);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function retryAfterOf(headers: unknown, now: number): number | undefined {
  if (typeof headers !== "object" || headers === null) return undefined;
  const read = (name: string): string | undefined => {
    const value: unknown = headers instanceof Headers ? headers.get(name) : Reflect.get(headers, name);
    return typeof value === "string" || typeof value === "number" ? String(value).trim() : undefined;
  };
  const inMs = Number(read("retry-after-ms") || Number.NaN);
  if (inMs >= 0) return inMs;
  const value = read("retry-after");
  if (value === undefined || value === "") return undefined;
  const seconds = Number(value);
  if (seconds >= 0) return seconds * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** How often and how long to wait before the same call is made again. */
export interface RetryPolicy {
  /** Calls after the first. */
  readonly maxRetries: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A service that asks for more than this is given up. */
  readonly maxRetryAfterMs: number;
}

/**
 * Milliseconds before the next attempt, or undefined to give up. Full jitter (M. Brooker, "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015), on top of what the service asked for, so that those it sent away together do
 * not come back together.
 * @param attempt Failed attempts so far, from 1.
 */
export function retryDelayMs(
  failure: CallFailure,
  attempt: number,
  policy: RetryPolicy,
  random: () => number,
): number | undefined {
  if (!failure.transient || attempt > policy.maxRetries) return undefined;
  const asked = failure.retryAfterMs ?? 0;
  if (asked > policy.maxRetryAfterMs) return undefined;
  const ceiling = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  return asked + random() * ceiling;
}

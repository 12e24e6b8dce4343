import { StrataError } from "../../contract/errors.ts";

/** The refusal itself, for whoever looks at causes: the status and the wait, as HTTP clients give them. */
class HttpRefusal extends Error {
  override readonly name = "HttpRefusal";
  readonly status: number;
  readonly retryAfterMs?: number;

  constructor(status: number, retryAfterMs: number | undefined) {
    super(`HTTP status ${status}`);
    this.status = status;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

const transientStatus = new Set([408, 409, 425, 500, 502, 503, 504, 520, 522, 524, 529]);

/**
 * What a reply other than 200 means. Of its body only a code is told: services quote the text and the key.
 * @param place Of the endpoint, without query.
 * @param now Milliseconds since 1970.
 */
export function refusalError(response: Response, body: string, place: string, now: number): StrataError {
  const { status } = response;
  const reason = reasonOf(body);
  const said = reason === undefined ? `HTTP status ${status}` : `HTTP status ${status} (${reason})`;
  const retryAfterMs = retryAfterOf(response.headers, now);
  const details = {
    status,
    ...(reason !== undefined && { reason }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
  const cause = new HttpRefusal(status, retryAfterMs);
  const refuse = (
    code: "EMBEDDING_RATE_LIMITED" | "EMBEDDING_UNAVAILABLE" | "EMBEDDING_FAILED" | "MODEL_NOT_FOUND",
    advice: string,
  ): StrataError =>
    new StrataError(code, `Expected vectors from ${place}, got ${said}. ${advice}`, { cause, details });

  // A quota that is spent answers like a rate that is too high, but does not pass.
  if (status === 429 && reason === "insufficient_quota")
    return refuse("EMBEDDING_FAILED", "The account's quota is spent.");
  if (status === 429) return refuse("EMBEDDING_RATE_LIMITED", "Call less often, or later.");
  if (transientStatus.has(status)) return refuse("EMBEDDING_UNAVAILABLE", "Try again later.");
  if (status === 401 || status === 403)
    return refuse("EMBEDDING_FAILED", "Check the key, and that it may use this model.");
  if (status === 404) return refuse("MODEL_NOT_FOUND", "Check the URL and the model's name.");
  if (status >= 300 && status < 400) return refuse("EMBEDDING_FAILED", "Give the URL it points to.");
  return refuse("EMBEDDING_FAILED", "The service does not take the texts as they are.");
}

/** A connection that was refused, lost, or ended in the middle of the answer. */
export function brokenOff(place: string, cause: unknown): StrataError {
  const code = codeOf(cause);
  return new StrataError(
    "EMBEDDING_UNAVAILABLE",
    `Expected vectors from ${place}, got no whole answer${code === undefined ? "" : ` (${code})`}. Is the service running, and is the URL right?`,
    { cause, details: code === undefined ? {} : { reason: code } },
  );
}

function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code: unknown = Reflect.get(cause, "code");
    if (typeof code === "string") return code;
  }
  return undefined;
}

/** The code in an error's body: `{ error: { code | type } }`; anything longer than a word could be a quotation. */
function reasonOf(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body);
    return [error?.code, error?.type].find(
      (word) => typeof word === "string" && /^[a-z][a-z0-9_.]{0,40}$/.test(word),
    );
  } catch {
    return undefined;
  }
}

function retryAfterOf(headers: Headers, now: number): number | undefined {
  const inMs = Number(headers.get("retry-after-ms") || Number.NaN);
  if (inMs >= 0) return inMs;
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  const seconds = Number(value);
  if (seconds >= 0) return seconds * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

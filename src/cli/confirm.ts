import { StrataError } from "../contract/errors.ts";
import type { Session } from "./session.ts";

/**
 * Asks a person at a terminal for yes, or for `expected` word by word. Resolves when it was given.
 * @throws CONFIRMATION_REQUIRED When it was not, or nobody is there to ask.
 */
export async function confirm(session: Session, question: string, expected?: string): Promise<void> {
  const { io, output, signal } = session;
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true || output.json) {
    throw new StrataError("CONFIRMATION_REQUIRED", `Not confirmed: ${question}`);
  }
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({
    input: io.stdin as unknown as NodeJS.ReadableStream,
    output: io.stderr as unknown as NodeJS.WritableStream,
  });
  try {
    const prompt =
      expected === undefined ? `${question} [y/N] ` : `${question}\nType ${expected} to confirm: `;
    const answer = (await lines.question(prompt, { signal })).trim();
    const given = expected === undefined ? /^y(es)?$/i.test(answer) : answer === expected;
    if (!given) throw new StrataError("CONFIRMATION_REQUIRED", "Not confirmed: nothing was changed.");
  } finally {
    lines.close();
  }
}

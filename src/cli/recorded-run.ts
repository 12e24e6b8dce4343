import type { Io } from "./io.ts";
import { run } from "./run.ts";

/** What a command said and how it ended. */
export interface Recording {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a recorded run stands in; by default no terminal, no input, no environment. */
export interface RecordingOptions {
  readonly input?: string | Io["stdin"];
  readonly environment?: Io["environment"];
  readonly terminal?: boolean;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** For tests: runs a command line in this process and keeps what it says. */
export async function recordRun(argv: readonly string[], options: RecordingOptions = {}): Promise<Recording> {
  const said = { stdout: "", stderr: "" };
  const isTTY = options.terminal === true;
  const sink = (name: keyof typeof said): Io["stdout"] => ({
    isTTY,
    columns: 80,
    write(text) {
      said[name] += text;
      return true;
    },
    once: () => undefined,
  });
  const io: Io = {
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    stdin: inputOf(options.input),
    environment: options.environment ?? {},
    cwd: options.cwd ?? process.cwd(),
  };
  const exitCode = await run(argv, io, options.signal);
  return { exitCode, ...said };
}

async function* inputOf(input: RecordingOptions["input"]): AsyncGenerator<Uint8Array> {
  if (typeof input === "string") yield Buffer.from(input);
  else if (input !== undefined) yield* input;
}

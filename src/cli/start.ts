import { processEnvironment } from "../config/process-environment.ts";
import { Interrupted } from "./interrupted.ts";
import type { Io } from "./io.ts";
import { run } from "./run.ts";

const signals = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

/** Runs the command of this process's arguments on its own streams, and sets its exit code. */
export async function start(): Promise<void> {
  const interrupt = new AbortController();
  let reading = false;
  const io: Io = {
    stdout: process.stdout,
    stderr: process.stderr,
    get stdin() {
      reading = true;
      return process.stdin;
    },
    environment: processEnvironment(),
    cwd: process.cwd(),
  };
  for (const [signal, exitCode] of signals) {
    process.on(signal, () => {
      // Asked twice: whoever asks has waited long enough. What was acknowledged is durable.
      if (interrupt.signal.aborted) process.exit(exitCode);
      interrupt.abort(new Interrupted(exitCode));
      if (reading) process.stdin.destroy();
    });
  }
  // The reader has gone, as `head` does when it has enough: nobody is left to tell anything.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  }
  process.exitCode = await run(process.argv.slice(2), io, interrupt.signal);
}

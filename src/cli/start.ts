import { processEnvironment } from "../config/process-environment.ts";
import { Interrupted } from "./interrupted.ts";
import type { Io } from "./io.ts";
import { run } from "./run.ts";
import { StandardOutput } from "./standard-output.ts";

const signals = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

/** Runs the command of this process's arguments on its own streams, and sets its exit code. */
export async function start(): Promise<void> {
  const interrupt = new AbortController();
  let reading = false;
  const io: Io = {
    stdout: new StandardOutput(1),
    stderr: new StandardOutput(2),
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
  process.exitCode = await run(process.argv.slice(2), io, interrupt.signal);
}

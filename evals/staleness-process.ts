import { openPlayed, type Play, play } from "./staleness-player.ts";

/** The other process: does what it is sent over the channel, and answers each message by its number. */
const memory = await openPlayed(process.argv[2]!);
process.on("message", ({ number, one }: { readonly number: number; readonly one: Play | "stats" }) => {
  const done = one === "stats" ? Promise.resolve(memory.queries.getStats()) : play(memory, one);
  done.then(
    (result) => process.send?.({ number, result }),
    (error: unknown) =>
      process.send?.({ number, error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.on("disconnect", () => void memory.close());
process.send?.("ready");

import { openMemory } from "../../src/engine/open-memory.ts";
import { hashingModel } from "./hashing-model.ts";

/** Goes on storing with the former model, an id a line, until its input ends. */
const [path = ""] = process.argv.slice(2);
await using memory = await openMemory({ path, configFile: false, model: hashingModel("former") });
let ended = false;
process.stdin.resume().once("end", () => {
  ended = true;
});
for (let number = 0; !ended; number++) {
  const { id } = await memory.store(`Note ${number} written meanwhile by the old one`, {
    id: `old-${number}`,
  });
  process.stdout.write(`${id}\n`);
  await new Promise((resolve) => setTimeout(resolve, 5));
}

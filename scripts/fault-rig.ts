import { parseArgs } from "node:util";
import { runRig } from "../test/faults/rig.ts";

/** `npm run test:faults -- --rounds 200 --seed 1`: the fault rig, its figures, and exit code 1 when something was lost. */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    seed: { type: "string" },
    program: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!(rounds >= 1) || !(seed >= 0)) {
  console.error("Expected --rounds of at least 1 and --seed of at least 0.");
  process.exit(2);
}
console.log(`seed ${seed}, ${rounds} rounds, 8 processes`);
const began = performance.now();
const result = await runRig({
  rounds,
  seed,
  ...(values.program !== undefined && { program: values.program }),
  onRound: (told) => {
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${told}`);
  },
});
if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
const { failure, repairs, refusals } = result;
console.log(`rounds           ${result.rounds} on ${result.files} files, ${Math.round((performance.now() - began) / 1_000)} s
kills            ${result.kills}
acknowledged     ${result.acknowledged} writes, ${result.reads} reads
under way        ${result.uncertain} writes at a kill; of the memories among them ${result.kept} found whole, ${result.dropped} not at all
lost             ${result.lost}
duplicated       ${result.duplicated}
half moves       ${result.halfMoves}
half documents   ${result.halfDocuments}
otherwise wrong  ${result.broken}
integrity        ${result.integrity}
repairs          ${repairs.logs + repairs.wipes + repairs.chunks}: ${repairs.logs} logs recovered, ${repairs.wipes} wipes ended, ${repairs.chunks} chunks swept that nobody published
refused by name  ${
  Object.entries(refusals)
    .map(([code, count]) => `${code} ${count}`)
    .join(", ") || "none"
}`);
if (failure) {
  console.log(`\nFAILED in round ${failure.round}, seed ${seed}; the file is kept: ${failure.file}`);
  for (const finding of failure.findings) console.log(`  ${finding}`);
  process.exitCode = 1;
}

import { packageVersion } from "./package-version.ts";

// The version is told before anything else is loaded: scripts and agents ask for it often.
const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") {
  process.stdout.write(`${packageVersion()}\n`);
} else {
  const { start } = await import("./start.ts");
  await start();
}

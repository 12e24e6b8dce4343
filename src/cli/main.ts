import { packageVersion } from "./package-version.ts";

// The version is told before anything else is loaded: scripts and agents ask for it often.
const [first] = process.argv.slice(2);
if (first === "--version" || first === "-V") {
  process.stdout.write(`${packageVersion()}\n`);
} else {
  // No await: the built command is one CommonJS file. `start` tells its errors itself.
  void import("./start.ts").then(({ start }) => start());
}

#!/usr/bin/env node
// Syntax here stays that of Node 12: an older Node must get as far as the sentence below, not a syntax error.
import { existsSync } from "fs";

var required = 24;

if (parseInt(process.versions.node, 10) < required) {
  process.stderr.write(
    "strata needs Node.js " +
      required +
      " or later and was started with " +
      process.versions.node +
      "; install a newer Node.js and run it again.\n",
  );
  process.exitCode = 2;
} else {
  import("module")
    .then(function (nodeModule) {
      // Compiled code is kept between starts: it saves about a third of the time to the first answer.
      nodeModule.enableCompileCache();
      var inCheckout = existsSync(new URL("../src/cli/main.ts", import.meta.url));
      if (inCheckout) return import("../src/cli/main.ts");
      return nodeModule.createRequire(import.meta.url)("../dist/cli/main.cjs");
    })
    .catch(function (error) {
      process.stderr.write((error && error.stack ? error.stack : String(error)) + "\n");
      process.exitCode = 1;
    });
}

#!/usr/bin/env node
// Syntax here stays that of Node 12: an older Node must get as far as the sentence below, not a syntax error.
// CommonJS (see package.json beside): to start an ES module Node loads streams and promises for files, 30 modules.
var fs = require("fs");
var path = require("path");

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
  // Compiled code is kept between starts: it saves about a third of the time to the first answer.
  require("module").enableCompileCache();
  if (fs.existsSync(path.join(__dirname, "../src/cli/main.ts"))) {
    import("../src/cli/main.ts").catch(function (error) {
      process.stderr.write((error && error.stack ? error.stack : String(error)) + "\n");
      process.exitCode = 1;
    });
  } else {
    require("../dist/cli/main.cjs");
  }
}

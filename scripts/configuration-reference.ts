/** Writes docs/reference/configuration.md: an introduction, and the table of settings section by section. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { splitKey, toml } from "../src/config/config-template.ts";
import type { Setting } from "../src/config/setting-kinds.ts";
import { settings } from "../src/config/settings.ts";
import { root } from "./repository.ts";

const introduction = `# Configuration

Everything has a default; most memories need no configuration. What is set is read from these places, later ones win:

1. your own file: \`strata.toml\` in your user's folder for configuration (\`strata config init --user\` makes it and tells
   where that is);
2. the project's file: \`strata.toml\` beside the \`.strata\` folder in use, which is the nearest one upward from the working
   directory. A \`strata.toml\` in a folder without \`.strata\` is not read: it may be somebody else's;
3. environment variables: \`STRATA_\`, section and key in capitals, such as \`STRATA_MEMORY_WORKING_TTL\`;
4. flags of the command line, and options of \`openMemory\`: \`path\`, \`namespace\`, \`durability\`, and any setting by its key as
   \`config: { "memory.working_ttl": 600 }\`.

\`--config FILE\`, \`STRATA_CONFIG\` or \`openMemory({ configFile })\` name one file, which then is the only one; \`configFile: false\`
reads none.

An unknown key, section or variable is an error that names the nearest known one, and so is a value of the wrong type or
unit: nothing is ignored. \`strata config check\` tells all of them at once; \`strata config show --origin\` tells every value
and where it comes from; \`strata config init\` writes a file with every setting, commented out.

Times are in seconds and sizes in bytes, as plain numbers, where the key or the description does not say otherwise.

Keys with "¹" are accepted and checked, so that a file of the reference system loads, but mean something else here, or
nothing; opening a memory logs the sentence in the table, and \`strata config check\` prints it. This page is made from the
source by \`npm run docs:config\`.
`;

/** The reference's text. */
export function configurationReference(): string {
  const sections = Map.groupBy(settings, ({ key }) => splitKey(key)[0]);
  const tables = [...sections].map(([section, rows]) =>
    [
      section === "" ? "## At the top, before any section" : `## [${section}]`,
      "",
      "| Key | Default | Takes | Does |",
      "|---|---|---|---|",
      ...rows.map(row),
      "",
    ].join("\n"),
  );
  return [introduction, ...tables].join("\n");
}

function row(setting: Setting): string {
  const [, key] = splitKey(setting.key);
  const fallback = setting.default === undefined ? "" : `\`${toml(setting.default)}\``;
  const mark = setting.asInReference ? "" : "¹";
  return `| \`${key}\`${mark} | ${fallback} | ${setting.expects} | ${setting.description} |`;
}

if (import.meta.main) {
  writeFileSync(join(root, "docs/reference/configuration.md"), configurationReference());
}

import { fileName } from "./config-file.ts";
import type { Setting, SettingValue } from "./setting-kinds.ts";
import { settings } from "./settings.ts";

const width = 100;

/**
 * A configuration file with every setting in it, all commented out: it changes nothing until somebody takes a "#"
 * away.
 */
export function configTemplate(): string {
  const lines = [
    `# ${fileName}: configuration of Strata.`,
    "# Every line is commented out and shows the default. An unknown key is an error.",
    "# Stronger than this file: variables such as STRATA_MEMORY_WORKING_TTL, then flags and code.",
    "# What is in force, and why: strata config show --origin",
  ];
  let section = "";
  for (const setting of settings) {
    const [name, key] = splitKey(setting.key);
    if (name !== section) {
      section = name;
      lines.push("", `[${section}]`);
    }
    lines.push("", ...wrapped(setting.description), assignment(setting, key));
  }
  return `${lines.join("\n")}\n`;
}

function assignment(setting: Setting, key: string): string {
  return setting.default === undefined ? `# ${key} =` : `# ${key} = ${toml(setting.default)}`;
}

/** Section, or "" at the top, and the key in it. */
export function splitKey(key: string): [section: string, name: string] {
  const dot = key.indexOf(".");
  return dot < 0 ? ["", key] : [key.slice(0, dot), key.slice(dot + 1)];
}

/** A value as TOML writes it. */
export function toml(value: SettingValue): string {
  return typeof value === "object"
    ? `[${value.map((each) => JSON.stringify(each)).join(", ")}]`
    : JSON.stringify(value);
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= width) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

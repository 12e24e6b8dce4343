import { dirname, resolve } from "node:path";
import { StrataError } from "../contract/errors.ts";
import { configFiles, type FileSources, readConfigFile } from "./config-file.ts";
import { suggestion } from "./nearest-name.ts";
import type { Setting, SettingValue } from "./setting-kinds.ts";
import { settings } from "./settings.ts";

/** A setting, its value and where the value comes from. */
export interface ResolvedSetting {
  readonly setting: Setting;
  /** Undefined: decided elsewhere, as the setting's description says. */
  readonly value: SettingValue | undefined;
  /** "default", the path of a file, the name of a variable, or "given" in code or as a flag. */
  readonly origin: string;
}

/** All settings, and what was found wrong on the way. */
export interface Layers {
  readonly settings: readonly ResolvedSetting[];
  readonly get: (key: string) => ResolvedSetting;
  /** Files that took part, the weaker first. */
  readonly files: readonly string[];
  readonly problems: readonly StrataError[];
  /** Sentences about settings that mean something else than in the reference, and values that look wrong. */
  readonly notices: readonly string[];
}

/** Where values come from. */
export interface LayerSources extends FileSources {
  /** By key: what code or flags set. */
  readonly given: Readonly<Record<string, unknown>>;
}

/** Variables that configure by being there, or are the project's own tests'. */
const otherVariables = /^STRATA_(CONFIG$|TEST_)/;

/** Reads every layer, the weaker first: defaults, files, environment, what is given. */
export async function readLayers(sources: LayerSources): Promise<Layers> {
  const collected = new Collected();
  const files = configFiles(sources);
  for (const file of files) {
    try {
      const values = await readConfigFile(file);
      for (const [key, value] of values) collected.take(key, value, file.path, `"${key}" in ${file.path}`);
      collected.resolvePath(file.path);
    } catch (error) {
      if (!StrataError.isInstance(error)) throw error;
      collected.problems.push(error);
    }
  }
  for (const [variable, value] of Object.entries(sources.environment)) {
    if (value === undefined || !variable.startsWith("STRATA_") || otherVariables.test(variable)) continue;
    collected.takeVariable(variable, value);
  }
  for (const [key, value] of Object.entries(sources.given))
    if (value !== undefined) collected.take(key, value, "given", `The setting "${key}"`);
  return collected.layers(files.map(({ path }) => path));
}

class Collected {
  readonly problems: StrataError[] = [];
  readonly #notices: string[] = [];
  readonly #values = new Map<string, ResolvedSetting>();

  /** A value of a file or of code. @param place Begins a sentence about it. */
  take(key: string, value: unknown, origin: string, place: string): void {
    const setting = settings.find((candidate) => candidate.key === key);
    if (!setting) {
      const hint = suggestion(
        key,
        settings.map((each) => each.key),
      );
      this.#refuse(
        origin === "given"
          ? `There is no setting "${key}"${hint || "."}`
          : `${place}: unknown key${hint || "."}`,
        { key },
      );
      return;
    }
    this.#keep(setting, setting.accept(value), value, origin, place);
  }

  takeVariable(variable: string, value: string): void {
    const setting = settings.find((candidate) => candidate.variable === variable);
    const place = `The environment variable ${variable}`;
    if (setting) {
      this.#keep(setting, setting.parse(value), value, variable, place);
      return;
    }
    const hint = suggestion(
      variable,
      settings.map((each) => each.variable),
    );
    this.#refuse(`${place} names no setting${hint || "."}`, { variable });
  }

  /** A relative path in a file counts from its folder: the file may be read from anywhere. */
  resolvePath(file: string): void {
    const path = this.#values.get("path");
    if (path?.origin === file && path.value !== undefined)
      this.#values.set("path", { ...path, value: resolve(dirname(file), String(path.value)) });
  }

  layers(files: readonly string[]): Layers {
    const all = settings.map(
      (setting) => this.#values.get(setting.key) ?? { setting, value: setting.default, origin: "default" },
    );
    const byKey = new Map(all.map((each) => [each.setting.key, each]));
    return {
      settings: all,
      get: (key) => byKey.get(key)!,
      files,
      problems: this.problems,
      notices: this.#notices,
    };
  }

  #keep(
    setting: Setting,
    value: SettingValue | undefined,
    raw: unknown,
    origin: string,
    place: string,
  ): void {
    const hint = setting.hint?.(raw);
    if (value === undefined) {
      this.#refuse(`${place} must be ${setting.expects}.${hint ? ` ${hint}` : ""}`, { key: setting.key });
      return;
    }
    this.#values.set(setting.key, { setting, value, origin });
    if (!setting.asInReference) this.#notices.push(`${setting.key}: ${setting.description}`);
    if (hint) this.#notices.push(`${setting.key}: ${hint}`);
  }

  #refuse(message: string, details: Readonly<Record<string, string>>): void {
    this.problems.push(new StrataError("INVALID_CONFIGURATION", message, { details }));
  }
}

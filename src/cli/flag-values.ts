import type { Command } from "commander";
import { StrataError } from "../contract/errors.ts";
import type { Metadata } from "../contract/memory.ts";

/** A number as it was typed; NaN for anything else, so that the check of its range refuses it. */
export function numberFlag(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

/** Names between commas; a repeated flag adds to them. */
export function listFlag(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  return [...before, ...names.filter((name) => name !== "")];
}

/** `KEY=VALUE`, where a value that is JSON is taken as such; a repeated flag adds to them. */
export function metadataFlag(text: string, before: Metadata = {}): Metadata {
  const equals = text.indexOf("=");
  if (equals < 1)
    throw new StrataError("INVALID_ARGUMENT", "Expected metadata as KEY=VALUE.", {
      details: { argument: "metadata" },
    });
  const value = text.slice(equals + 1);
  let parsed: Metadata[string] = value;
  try {
    parsed = JSON.parse(value);
  } catch {
    // Plain text needs no quotes.
  }
  return { ...before, [text.slice(0, equals)]: parsed };
}

/** Adds a help section of examples: command line and what it does. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [line: string, does: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}  ${does}`.trimEnd());
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

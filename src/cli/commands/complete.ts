import type { Command, Option } from "commander";
import { tiers } from "../../contract/tier.ts";
import type { Session } from "../session.ts";

/** How the completion scripts are told what to add to the candidates: files, or nothing. */
const files = 0;
const nothing = 4;

/** Values of flags and arguments that are one of few. */
const choices: Readonly<Record<string, readonly string[]>> = {
  tier: tiers,
  mode: ["hybrid", "vector", "keyword"],
  kind: ["promote", "demote", "merge", "evict", "expire", "forget", "undo", "restore"],
  unset: ["tags", "metadata", "thread", "speaker", "at"],
  shell: ["bash", "zsh", "fish", "powershell"],
};
/** Flags and arguments whose values are paths. */
const paths = ["db", "config", "paths", "file"];

/** What may stand at the place of the last word, as `value TAB description`, and what the shell may add. */
export interface Completions {
  readonly candidates: readonly (readonly [value: string, description: string])[];
  readonly directive: number;
}

export function declare(command: Command, session: Session): void {
  command
    .argument("[words...]")
    .description("Answer a completion script: strata complete -- WORDS, the last of which is being typed.")
    .action((words: string[]) => complete(words, command.parent!, session));
}

async function complete(words: readonly string[], program: Command, session: Session): Promise<void> {
  const named = commandOf(words.slice(0, -1), program);
  if (named) await session.declare(named);
  const { candidates, directive } = completionsFor(words, program, named);
  for (const [value, description] of candidates) await session.output.write(`${value}\t${description}\n`);
  await session.output.write(`:${directive}\n`);
}

function commandOf(words: readonly string[], program: Command): Command | undefined {
  const operand = operandsOf(words, program.options)[0];
  return program.commands.find((command) => command.name() === operand);
}

/** Words that are neither flags nor their values. */
function operandsOf(words: readonly string[], options: readonly Option[]): string[] {
  return words.filter((word, at) => !word.startsWith("-") && !takesValue(words[at - 1], options));
}

function takesValue(word: string | undefined, options: readonly Option[]): Option | undefined {
  if (word === undefined) return undefined;
  return options.find((option) => option.required && (option.long === word || option.short === word));
}

/** Pure: the candidates for the last of `words`, given the command the ones before it name. */
export function completionsFor(
  words: readonly string[],
  program: Command,
  command: Command | undefined,
): Completions {
  const typed = words.at(-1) ?? "";
  const options = [...(command?.options ?? []), ...program.options];
  const flag = takesValue(words.at(-2), options);
  if (flag) return valuesOf(flag.attributeName(), typed);
  if (typed.startsWith("-")) {
    const flags = options.map((option) => [option.long!, option.description] as const);
    return startingWith(typed, [...flags, ["--help", "show help"]]);
  }
  if (!command) {
    const listed = program.createHelp().visibleCommands(program);
    return startingWith(
      typed,
      listed.map((each) => [each.name(), each.summary()] as const),
    );
  }
  const given = operandsOf(words.slice(0, -1), options).length - 1;
  const declared = command.registeredArguments;
  const argument = declared[given] ?? declared.findLast(({ variadic }) => variadic);
  return argument ? valuesOf(argument.name(), typed) : { candidates: [], directive: nothing };
}

function valuesOf(name: string, typed: string): Completions {
  if (paths.includes(name)) return { candidates: [], directive: files };
  return startingWith(
    typed,
    (choices[name] ?? []).map((value) => [value, ""] as const),
  );
}

function startingWith(typed: string, candidates: Completions["candidates"]): Completions {
  return { candidates: candidates.filter(([value]) => value.startsWith(typed)), directive: nothing };
}

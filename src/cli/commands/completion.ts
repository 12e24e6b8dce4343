import { script } from "@bomb.sh/tab";
import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import { addExamples } from "../flag-values.ts";

const shells = ["bash", "zsh", "fish", "powershell"];

export function declare(command: Command): void {
  command
    .description("Print a script that lets a shell complete commands, flags and their values.")
    .argument("<shell>", shells.join(", "))
    .action(completion);
  addExamples(command, [
    ["source <(strata completion bash)", "in ~/.bashrc"],
    ["source <(strata completion zsh)", "in ~/.zshrc, after compinit"],
    ["strata completion fish > ~/.config/fish/completions/strata.fish", ""],
    ["strata completion powershell >> $PROFILE", ""],
  ]);
}

function completion(shell: string): void {
  if (!shells.includes(shell))
    throw new StrataError("INVALID_ARGUMENT", `Expected a shell (${shells.join(", ")}), got "${shell}".`);
  script(shell, "strata", "strata");
}

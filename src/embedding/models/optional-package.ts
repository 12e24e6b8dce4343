import { StrataError } from "../../contract/errors.ts";

/**
 * Loads an optional package.
 * @param load The import itself, so that bundlers see its literal name.
 * @throws MISSING_PACKAGE With the command that installs it.
 */
export async function loadOptional<T>(
  packageName: string,
  purpose: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw cause;
    throw new StrataError(
      "MISSING_PACKAGE",
      `${purpose} needs the package ${packageName}, which is not installed. Run: npm install onnxruntime-node @huggingface/tokenizers`,
      { cause, details: { package: packageName } },
    );
  }
}

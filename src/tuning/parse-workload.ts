import { StrataError } from "../contract/errors.ts";
import type { WorkloadStep } from "../contract/workload.ts";

/** Steps of a record that are read. */
const maxSteps = 5_000_000;

/** The steps of a record, a JSON object a line. @throws INVALID_ARGUMENT naming the line that is none */
export async function parseWorkload(
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<WorkloadStep[]> {
  const steps: WorkloadStep[] = [];
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    const step = parseStep(line);
    if (!step || steps.length >= maxSteps) {
      const expected = step
        ? `at most ${maxSteps} steps`
        : 'a step, such as {"op":"embed","key":"a1","length":20}';
      throw new StrataError("INVALID_ARGUMENT", `Line ${number} of the workload: expected ${expected}.`);
    }
    steps.push(step);
  }
  return steps;
}

function parseStep(line: string): WorkloadStep | undefined {
  try {
    const step = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const isName = (value: unknown): boolean => typeof value === "string";
    const isSize = (value: unknown): boolean => typeof value === "number" && value >= 0 && value < 2 ** 40;
    const maybe = (value: unknown, is: (value: unknown) => boolean): boolean =>
      value === undefined || is(value);
    const valid =
      (step["op"] === "write" && isName(step["namespace"])) ||
      (step["op"] === "embed" && isName(step["key"]) && isSize(step["length"])) ||
      (step["op"] === "recall" &&
        isName(step["namespace"]) &&
        isName(step["key"]) &&
        isSize(step["length"]) &&
        maybe(step["question"], isName) &&
        maybe(step["bytes"], isSize) &&
        maybe(step["ms"], isSize));
    return valid ? (step as unknown as WorkloadStep) : undefined;
  } catch {
    return undefined;
  }
}

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { root } from "../scripts/repository.ts";
import { evaluateCranfield } from "./cranfield.ts";
import { allModes, evaluatedModel } from "./evaluated-model.ts";
import { evaluateLocomo } from "./locomo.ts";
import { evaluateSciFact } from "./scifact.ts";

interface Row {
  readonly model: string;
  readonly mode: string;
  /** Evidence recall@10. */
  readonly locomo: number;
  /** nDCG@10. */
  readonly scifact: number;
  readonly cranfield: number;
  readonly ranking: string;
}

const page = join(root, "docs/reference/quality.md");
const [begin, end] = ["<!-- figures -->", "<!-- /figures -->"];

/**
 * All evaluations of retrieval by model and mode, at the defaults. With `--write` the table in
 * docs/reference/quality.md is made again from them. `--models builtin,minilm` names the models.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string" },
      models: { type: "string", default: "builtin,minilm" },
      write: { type: "boolean", default: false },
    },
  });
  const data = dataFolder(values.data);
  const rows: Row[] = [];
  for (const name of values.models.split(",")) {
    if (rows.length === 0) rows.push(await baseline(data));
    rows.push(...(await rowsOf(name, data)));
  }
  if (values.write) {
    const text = existsSync(page) ? readFileSync(page, "utf8") : "";
    writeFileSync(page, withTable(text, rows));
    console.error(`Wrote ${relative(root, page)}`);
  }
  return { rows };
}

async function rowsOf(name: string, data: string): Promise<Row[]> {
  const model = await evaluatedModel(name);
  const scifact = await evaluateSciFact(data, { model, modes: allModes });
  const cranfield = await evaluateCranfield(data, { model, modes: allModes });
  const rows: Row[] = [];
  for (const mode of allModes) {
    const locomo = await evaluateLocomo(data, { model, modes: [mode] });
    const rankings = new Set([locomo.ranking, scifact.ranking, cranfield.ranking]);
    rows.push({
      model: name,
      mode,
      locomo: locomo.recallAt10["all"]!,
      scifact: scifact.ndcgAt10[mode]!,
      cranfield: cranfield.ndcgAt10[mode]!,
      ranking: [...rankings].join(" "),
    });
    console.error(rows.at(-1));
  }
  await model?.close?.();
  return rows;
}

async function baseline(data: string): Promise<Row> {
  const [locomo, scifact, cranfield] = [
    await evaluateLocomo(data, { modes: ["keyword"] }),
    await evaluateSciFact(data, { modes: [] }),
    await evaluateCranfield(data, { modes: [] }),
  ];
  return {
    model: "none",
    mode: "plain BM25",
    locomo: locomo.plainBm25["all"]!,
    scifact: scifact.ndcgAt10["plainBm25"]!,
    cranfield: cranfield.ndcgAt10["plainBm25"]!,
    ranking: "",
  };
}

/** The page with its table between the two marks made anew. */
function withTable(text: string, rows: readonly Row[]): string {
  const figure = (value: number): string => value.toFixed(4).replace(/^0/, "");
  const table = [
    "| model | mode | LoCoMo, evidence recall@10 | SciFact, nDCG@10 | Cranfield, nDCG@10 | ranking |",
    "|---|---|---|---|---|---|",
    ...rows.map(
      ({ model, mode, locomo, scifact, cranfield, ranking }) =>
        `| ${model} | ${mode} | ${figure(locomo)} | ${figure(scifact)} | ${figure(cranfield)} | ${ranking && `\`${ranking}\``} |`,
    ),
  ].join("\n");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`Expected ${begin} and ${end} in ${relative(root, page)}.`);
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}

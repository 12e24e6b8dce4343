import type { BreadthChooser, SearchBreadth } from "../contract/tuning.ts";
import { chanceOfSmaller, mean } from "./rank-test.ts";

/** What was decided. */
export interface SearchMove {
  readonly parameter: "candidates" | "vector-breadth";
  readonly before: number;
  readonly after: number;
  readonly verdict: "tried" | "kept" | "taken back";
  readonly reason: string;
}

export interface SearchTunerOptions {
  /** As configured; nothing searches wider. */
  readonly widest: SearchBreadth;
  /** Least mean share 0..1 of the best hits as configured that a narrower search must still find. */
  readonly minOverlap: number;
  /** Uniform in 0..1. */
  readonly random: () => number;
  readonly onMove: (move: SearchMove) => void;
}

export interface SearchTunerState extends SearchBreadth {
  readonly phase: "resting" | "trying";
  /** Of what is in force, over its latest probes; absent before there are some. */
  readonly overlap?: number;
}

/** Shares of what is configured, the widest first. */
const shares = [1, 0.75, 0.5];
const leastCandidates = 20;
/** Recalls with and without the change that are compared, each. */
const compared = 400;
/** Questions asked once more, of so many: while something is tried, and in rest. */
const probeEach = 8;
const probeEachAtRest = 64;
/** Probes of which is told whether enough is found, and that are remembered. */
const leastProbes = 30;
const rememberedProbes = 200;
/** Recalls before the first trial and between two; doubled for a change that was taken back. */
const firstRest = 2_000;
const longestRest = 256_000;
/** Chance of error of "faster", and the least that it must be faster by. */
const chance = 0.01;
const worthwhile = 0.02;
/** Standard errors of the bound of an overlap: 95 %, one-sided. */
const oneSided = 1.645;

type Parameter = keyof SearchBreadth;
const names = { candidates: "candidates", vectorBreadth: "vector-breadth" } as const;
const parameters: readonly Parameter[] = ["candidates", "vectorBreadth"];

interface Trial {
  readonly parameter: Parameter;
  readonly breadth: SearchBreadth;
  readonly without: number[];
  readonly with: number[];
  readonly overlaps: number[];
}

/**
 * Finds how much narrower recalls may search and still find what they would as configured. While a change is tried,
 * chance decides for each recall whether it searches with it, so that both see the same questions; it is kept when
 * recalls with it are faster beyond noise and questions asked again as widely as configured give the same hits, else
 * taken back. What was kept is taken back too, once it no longer finds enough. It reads no clock.
 */
export class SearchTuner implements BreadthChooser {
  readonly #options: SearchTunerOptions;
  #breadth: SearchBreadth;
  #trial: Trial | undefined;
  #overlaps: number[] = [];
  #recalls = 0;
  #restUntil = firstRest;
  #probes = 0;
  /** By change: not before this recall again. */
  readonly #rests = new Map<string, { readonly until: number; readonly length: number }>();

  constructor(options: SearchTunerOptions) {
    this.#options = options;
    this.#breadth = options.widest;
  }

  get breadth(): SearchBreadth {
    return this.#breadth;
  }

  get state(): SearchTunerState {
    const enough = this.#overlaps.length >= leastProbes;
    return {
      ...this.#breadth,
      phase: this.#trial ? "trying" : "resting",
      ...(enough && { overlap: mean(this.#overlaps) }),
    };
  }

  next(): SearchBreadth {
    this.#recalls++;
    if (!this.#trial && this.#recalls >= this.#restUntil) this.#begin();
    return this.#trial && this.#options.random() < 0.5 ? this.#trial.breadth : this.#breadth;
  }

  answered(breadth: SearchBreadth, ms: number): void {
    const trial = this.#trial;
    if (!trial) return;
    const times = isSame(breadth, trial.breadth)
      ? trial.with
      : isSame(breadth, this.#breadth)
        ? trial.without
        : undefined;
    if (times !== undefined && times.length < 2 * compared) times.push(ms);
    if (trial.with.length >= compared && trial.without.length >= compared) this.#judge(trial);
  }

  wantsProbe(breadth: SearchBreadth): boolean {
    // What searches as configured finds what it would as configured.
    if (isSame(breadth, this.#options.widest)) return false;
    const each = this.#trial && isSame(breadth, this.#trial.breadth) ? probeEach : probeEachAtRest;
    return this.#probes++ % each === 0;
  }

  probed(breadth: SearchBreadth, overlap: number): void {
    if (this.#trial && isSame(breadth, this.#trial.breadth)) this.#trial.overlaps.push(overlap);
    else if (isSame(breadth, this.#breadth)) {
      this.#overlaps.push(overlap);
      if (this.#overlaps.length > rememberedProbes) this.#overlaps.shift();
      this.#checkOverlap();
    }
  }

  #begin(): void {
    const change = this.#nextChange();
    this.#restUntil = this.#recalls + firstRest;
    if (!change) return;
    const { parameter, value } = change;
    this.#trial = {
      parameter,
      breadth: { ...this.#breadth, [parameter]: value },
      without: [],
      with: [],
      overlaps: [],
    };
    this.#tell(
      parameter,
      this.#breadth[parameter],
      value,
      "tried",
      "half of the recalls search so, by chance",
    );
  }

  /** One step narrower of one parameter that was not taken back lately. */
  #nextChange(): { readonly parameter: Parameter; readonly value: number } | undefined {
    for (const parameter of parameters) {
      const value = narrower(parameter, this.#breadth[parameter], this.#options.widest);
      const rest = value === undefined ? undefined : this.#rests.get(`${parameter} ${value}`);
      if (value !== undefined && this.#recalls >= (rest?.until ?? 0)) return { parameter, value };
    }
    return undefined;
  }

  #judge(trial: Trial): void {
    const { parameter, breadth, overlaps } = trial;
    const before = this.#breadth[parameter];
    const after = breadth[parameter];
    const p = chanceOfSmaller(trial.with, trial.without);
    const faster = 1 - mean(trial.with) / mean(trial.without);
    const found = overlaps.length < leastProbes ? 0 : bound(overlaps, -1);
    const kept = p < chance && faster > worthwhile && found >= this.#options.minOverlap;
    const overlap =
      overlaps.length === 0
        ? "none asked again"
        : `${percent(mean(overlaps))} of ${overlaps.length} questions' best hits the same, at least ${percent(found)}`;
    const reason = `recalls ${percent(faster)} faster (p = ${p.toPrecision(2)}, Mann and Whitney, ${trial.with.length} against ${trial.without.length}); ${overlap}`;
    this.#trial = undefined;
    this.#restUntil = this.#recalls + firstRest;
    if (!kept) {
      this.#rest(parameter, after);
      this.#tell(parameter, after, before, "taken back", reason);
      return;
    }
    this.#breadth = breadth;
    this.#overlaps = overlaps;
    this.#tell(parameter, before, after, "kept", reason);
  }

  /** Back to what is configured when less is found than must be, surely. */
  #checkOverlap(): void {
    if (this.#overlaps.length < leastProbes || bound(this.#overlaps, 1) >= this.#options.minOverlap) return;
    const { widest } = this.#options;
    const parameter = parameters.find((each) => this.#breadth[each] !== widest[each]);
    if (parameter === undefined) return;
    const before = this.#breadth[parameter];
    const reason = `${percent(mean(this.#overlaps))} of ${this.#overlaps.length} questions' best hits the same`;
    this.#rest(parameter, before);
    this.#breadth = { ...this.#breadth, [parameter]: widest[parameter] };
    this.#overlaps = [];
    this.#trial = undefined;
    this.#tell(parameter, before, widest[parameter], "taken back", reason);
  }

  #rest(parameter: Parameter, value: number): void {
    const name = `${parameter} ${value}`;
    const length = Math.min(longestRest, 2 * (this.#rests.get(name)?.length ?? 2 * firstRest));
    this.#rests.set(name, { until: this.#recalls + length, length });
  }

  #tell(
    parameter: Parameter,
    before: number,
    after: number,
    verdict: SearchMove["verdict"],
    reason: string,
  ): void {
    this.#options.onMove({ parameter: names[parameter], before, after, verdict, reason });
  }
}

/** The next narrower value, within the bounds; undefined at their end. */
function narrower(parameter: Parameter, value: number, widest: SearchBreadth): number | undefined {
  const rungs = shares.map((share) =>
    parameter === "candidates"
      ? Math.max(Math.min(leastCandidates, widest.candidates), Math.round(widest.candidates * share))
      : Math.max(0.25, widest.vectorBreadth * share),
  );
  return rungs.find((rung) => rung < value);
}

function isSame(a: SearchBreadth, b: SearchBreadth): boolean {
  return a.candidates === b.candidates && a.vectorBreadth === b.vectorBreadth;
}

/** Lower (-1) or upper (1) bound of a mean. */
function bound(values: readonly number[], side: 1 | -1): number {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return middle + side * oneSided * Math.sqrt(squares / (values.length - 1) / values.length);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

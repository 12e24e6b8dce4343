import { hash } from "node:crypto";
import { v7 as uuidv7 } from "uuid";
import { compareWorth, mergeOf } from "../../consolidation/merge-plan.ts";
import { StrataError } from "../../contract/errors.ts";
import { canRepeat, duplicateKey, tagsFit } from "../../contract/exact-duplicates.ts";
import type { Memory, StoredVector } from "../../contract/memory.ts";
import type { OrphanCounts } from "../../contract/memory-store.ts";
import { areNearDuplicates, nearDuplicateKey } from "../../contract/near-duplicates.ts";
import type { Scope } from "../../contract/scope.ts";
import { checkFlag, checkOptions } from "../check-values.ts";
import type { Parts } from "../parts.ts";
import { findSecrets } from "./find-secrets.ts";
import { type JunkReason, junkReason } from "./junk.ts";
import { RecallEchoes, sharesWords } from "./recall-echoes.ts";

/** What an audit looks for. */
export type AuditCheck = "duplicates" | "junk" | "secrets" | "echoes" | "orphans";

export interface AuditOptions {
  readonly namespace?: string | undefined;
  /** Default: all but "echoes", which costs a search a memory. */
  readonly checks?: readonly AuditCheck[] | undefined;
  /** Merge exact duplicates, forget junk, remove what nothing owns. Default false. */
  readonly fix?: boolean | undefined;
  /** With `fix`: only tell what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Most findings in the report; all are counted. Default 1,000. */
  readonly limit?: number | undefined;
  /** Called for each finding, those beyond `limit` too. */
  readonly onFinding?: ((finding: AuditFinding) => void) | undefined;
  /** Called after each page of memories that was looked at. */
  readonly onProgress?: ((progress: { readonly done: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One thing found. No text of a memory is in it. */
export type AuditFinding =
  | {
      readonly kind: "duplicate" | "near-duplicate";
      readonly id: string /** The one that stays. */;
      readonly of: string;
    }
  | { readonly kind: "junk"; readonly id: string; readonly reason: JunkReason }
  | {
      readonly kind: "secret";
      readonly id: string;
      readonly rule: string;
      readonly start: number;
      readonly end: number;
    }
  | {
      readonly kind: "echo";
      readonly id: string /** Older memories whose texts it repeats. */;
      readonly of: readonly string[];
    };

export interface AuditReport {
  /** Memories looked at, chunks of documents included. */
  readonly memories: number;
  /** Findings by kind. */
  readonly found: Readonly<Record<AuditFinding["kind"], number>>;
  readonly findings: readonly AuditFinding[];
  /** Of the whole store; absent when it was not asked for. */
  readonly orphans?: OrphanCounts;
  /** Findings that `fix` put right, or with `dryRun` would. */
  readonly fixed: number;
  /** Runs of the journal that can be undone: what was forgotten, what was merged. */
  readonly runs: readonly string[];
}

const allChecks: readonly AuditCheck[] = ["duplicates", "junk", "secrets", "echoes", "orphans"];
const names = ["namespace", "checks", "fix", "dryRun", "limit", "onFinding", "onProgress", "signal"];
const pageSize = 250;
/** Hits among which an echo's origin is looked for. */
const echoHits = 6;
/** Shorter texts repeat each other by chance. */
const leastEchoWords = 6;

type CheckedAudit = Omit<AuditOptions, "checks" | "limit" | "namespace"> & {
  readonly checks: ReadonlySet<AuditCheck>;
  readonly limit: number;
};

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkAudit(given: AuditOptions | undefined): CheckedAudit {
  const { namespace: _, checks, limit = 1_000, ...options } = checkOptions(given, names, "audit");
  if (checks?.some((check) => !allChecks.includes(check)) || checks?.length === 0 || !(limit >= 0)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected checks among ${allChecks.join(", ")}, at least one, and a limit of at least 0.`,
      { details: { argument: "checks" } },
    );
  }
  for (const name of ["fix", "dryRun"] as const) {
    if (options[name] !== undefined) checkFlag(options[name], name);
  }
  return { ...options, checks: new Set(checks ?? allChecks.filter((each) => each !== "echoes")), limit };
}

/**
 * Looks through a namespace page by page. Of each memory eight bytes are kept to find those that say the same; the others
 * are read again.
 */
export async function auditMemories(parts: Parts, scope: Scope, options: CheckedAudit): Promise<AuditReport> {
  const audit = new Audit(parts, scope, options);
  await audit.look();
  if (options.checks.has("duplicates")) await audit.compare();
  return audit.report();
}

class Audit {
  readonly #parts: Parts;
  readonly #scope: Scope;
  readonly #options: CheckedAudit;
  readonly #findings: AuditFinding[] = [];
  readonly #found = { duplicate: 0, "near-duplicate": 0, junk: 0, secret: 0, echo: 0 };
  readonly #run = uuidv7();
  /** First 53 bits of a hash of what each memory says. */
  readonly #said: number[] = [];
  readonly #junk: string[] = [];
  #memories = 0;
  #fixed = 0;
  #hasMerged = false;
  #forgetRun: string | undefined;

  constructor(parts: Parts, scope: Scope, options: CheckedAudit) {
    this.#parts = parts;
    this.#scope = scope;
    this.#options = options;
  }

  /** Everything that one memory tells by itself. */
  async look(): Promise<void> {
    const { checks, onProgress } = this.#options;
    for await (const page of this.#pages()) {
      for (const memory of page) {
        if (checks.has("secrets")) {
          for (const found of findSecrets(memory.content))
            this.#tell({ kind: "secret", id: memory.id, ...found });
        }
        if (memory.source) continue;
        const reason = checks.has("junk")
          ? junkReason(memory.content, memory.thread !== undefined)
          : undefined;
        if (reason) {
          this.#tell({ kind: "junk", id: memory.id, reason });
          if (!memory.pinned) this.#junk.push(memory.id);
        } else if (checks.has("duplicates") && canRepeat(memory)) this.#said.push(saidHash(memory));
        if (checks.has("echoes")) await this.#echo(memory);
      }
      this.#memories += page.length;
      onProgress?.({ done: this.#memories });
    }
    await this.#forgetJunk();
  }

  /** Reads once more, and compares those whose hashes stand there twice. */
  async compare(): Promise<void> {
    const sorted = Float64Array.from(this.#said).sort();
    const twice = new Set(sorted.filter((each, at) => each === sorted[at - 1]));
    if (twice.size === 0) return;
    const groups = new Map<number, Memory[]>();
    for await (const page of this.#pages()) {
      for (const memory of page) {
        const said = canRepeat(memory) ? saidHash(memory) : undefined;
        if (said === undefined || !twice.has(said)) continue;
        const group = groups.get(said);
        if (group) group.push(memory);
        else groups.set(said, [memory]);
      }
    }
    for (const group of groups.values()) await this.#compareGroup(group.sort(compareWorth));
  }

  async report(): Promise<AuditReport> {
    const { checks, fix, dryRun, signal } = this.#options;
    const removes = fix === true && dryRun !== true;
    const orphans = checks.has("orphans")
      ? await this.#parts.store.orphans({ dryRun: !removes }, { signal })
      : undefined;
    const owned = orphans ? Object.values(orphans).reduce((sum, each) => sum + each, 0) : 0;
    const merged = this.#hasMerged ? [this.#run] : [];
    return {
      memories: this.#memories,
      found: this.#found,
      findings: this.#findings,
      ...(orphans && { orphans }),
      fixed: this.#fixed + (fix === true ? owned : 0),
      runs: this.#forgetRun === undefined ? merged : [this.#forgetRun, ...merged],
    };
  }

  async *#pages(): AsyncGenerator<readonly Memory[]> {
    const { signal } = this.#options;
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await this.#parts.store.list(this.#scope, {}, { limit: pageSize, cursor });
      yield page.memories;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  #tell(finding: AuditFinding): void {
    this.#found[finding.kind] += 1;
    if (this.#findings.length < this.#options.limit) this.#findings.push(finding);
    this.#options.onFinding?.(finding);
  }

  /** @param group In the order in which they are kept; each is the same as the first that says so. */
  async #compareGroup(group: readonly Memory[]): Promise<void> {
    const vectors = await this.#parts.store.vectors(
      this.#scope,
      group.map(({ id }) => id),
    );
    const byKey = new Map<string, string>();
    /** Those that others may be like, with their vectors: without one nothing is alike. */
    const kept: (Memory & { readonly vector: StoredVector })[] = [];
    for (const [at, memory] of group.entries()) {
      const key = duplicateKey(memory);
      const exact = byKey.get(key);
      if (exact !== undefined) {
        this.#tell({ kind: "duplicate", id: memory.id, of: exact });
        await this.#merge(exact, memory);
        continue;
      }
      byKey.set(key, memory.id);
      const vector = vectors[at] ?? null;
      if (!vector) continue;
      const near = kept.find((other) => areNearDuplicates({ ...memory, vector }, other));
      if (near) this.#tell({ kind: "near-duplicate", id: memory.id, of: near.id });
      else kept.push({ ...memory, vector });
    }
  }

  async #merge(keptId: string, absorb: Memory): Promise<void> {
    const { fix, dryRun, signal } = this.#options;
    // The kept one changes with each that it takes in.
    const [keep] = await this.#parts.store.get(this.#scope, [keptId]);
    if (fix !== true || !keep || keep.pinned || absorb.pinned || !tagsFit(keep.tags, absorb.tags)) return;
    this.#fixed += 1;
    if (dryRun === true) return;
    const action = mergeOf(keep, absorb, `same text, thread, speaker and time as ${keep.id}`);
    const { outcomes } = await this.#parts.store.apply(this.#scope, this.#run, [action], { signal });
    if (outcomes[0] === "done") this.#hasMerged = true;
    else this.#fixed -= 1;
  }

  async #forgetJunk(): Promise<void> {
    const { fix, dryRun, signal } = this.#options;
    if (fix !== true || this.#junk.length === 0) return;
    this.#fixed += this.#junk.length;
    if (dryRun === true) return;
    const { run } = await this.#parts.store.forget(this.#scope, { ids: this.#junk }, { signal });
    this.#forgetRun = run;
  }

  /** Looks whether a memory only repeats older ones. */
  async #echo(memory: Memory): Promise<void> {
    if (memory.content.split(/\s+/, leastEchoWords).length < leastEchoWords) return;
    const { hits } = await this.#parts.ask(this.#scope, (retriever) =>
      retriever.recall(this.#scope, memory.content, { limit: echoHits, touch: false, rerank: false }),
    );
    const older = hits.filter(
      (hit) => hit.memory.createdAt < memory.createdAt && hit.memory.contentHash !== memory.contentHash,
    );
    const echoes = new RecallEchoes(this.#parts.clock);
    echoes.recalled(this.#scope.namespace, older);
    if (echoes.isEcho(this.#scope.namespace, memory.content)) {
      const repeated = older.filter((hit) => sharesWords(memory.content, hit.memory.content));
      this.#tell({ kind: "echo", id: memory.id, of: repeated.map((hit) => hit.memory.id) });
    }
  }
}

function saidHash(memory: Memory): number {
  return Number.parseInt(hash("sha256", nearDuplicateKey(memory)).slice(0, 13), 16);
}

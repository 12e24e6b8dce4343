import type { EmbeddingPrice } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";

/** What was computed and what it cost. */
export interface EmbeddingCost {
  readonly texts: number;
  /** As the model counts them; estimated from the texts' lengths where it does not say. */
  readonly tokens: number;
  /** Calls that carried any of these texts. */
  readonly calls: number;
  /** In the currency of the price; 0 without one. */
  readonly price: number;
}

export interface CostMeterOptions {
  readonly price: EmbeddingPrice;
  /** Most that may be spent, in the currency of the price; undefined: no bound. */
  readonly budget: number | undefined;
}

/** A text on its way to the model, as the account sees it. */
export interface ChargedText {
  readonly namespace: string | undefined;
  readonly tokens: number;
}

/** Namespaces with an account of their own; those that come later share one, so that the account stays bounded. */
const maxAccounts = 1_000;
const otherAccount = "(other)";
const unnamedAccount = "(none)";

type Account = { -readonly [K in keyof EmbeddingCost]: EmbeddingCost[K] };

/** Counts texts, tokens, calls and money by namespace, and refuses what the budget does not cover. */
export class CostMeter {
  readonly #price: Required<{ [K in keyof EmbeddingPrice]: number }>;
  readonly #budget: number | undefined;
  readonly #total: Account = emptyAccount();
  readonly #byNamespace = new Map<string, Account>();
  #reserved = 0;

  constructor(options: CostMeterOptions) {
    const { perMillionTokens = 0, perThousandTexts = 0, perCall = 0 } = options.price;
    this.#price = { perMillionTokens, perThousandTexts, perCall };
    this.#budget = options.budget;
  }

  /**
   * Sets aside what texts that are about to be queued will cost by estimate.
   * @throws BUDGET_EXCEEDED When that and what was spent pass the budget; nothing is set aside then.
   */
  reserve(texts: readonly ChargedText[]): void {
    const amount = this.#estimate(texts);
    const wanted = this.#total.price + this.#reserved + amount;
    if (this.#budget !== undefined && !(wanted <= this.#budget))
      throw new StrataError(
        "BUDGET_EXCEEDED",
        `Expected embeddings to cost at most ${this.#budget}; ${this.#total.price.toFixed(4)} is spent and ` +
          `${texts.length} more texts would pass it. Raise the budget or embed less.`,
        { details: { budget: this.#budget, spent: this.#total.price, texts: texts.length } },
      );
    this.#reserved += amount;
  }

  /** Gives back what was set aside for texts that were answered, failed or left the queue. */
  release(texts: readonly ChargedText[]): void {
    this.#reserved = Math.max(0, this.#reserved - this.#estimate(texts));
  }

  /** What a batch cost, shared out by the texts' lengths. @param tokens As counted; undefined: the estimates stand. */
  charge(texts: readonly ChargedText[], calls: number, tokens: number | undefined): void {
    let estimated = 0;
    for (const text of texts) estimated += text.tokens;
    const scale = tokens === undefined ? 1 : tokens / Math.max(1, estimated);
    const shares = new Map<string | undefined, { texts: number; tokens: number }>();
    for (const { namespace, tokens: own } of texts) {
      const share = shares.get(namespace) ?? { texts: 0, tokens: 0 };
      shares.set(namespace, { texts: share.texts + 1, tokens: share.tokens + own * scale });
    }
    for (const [namespace, share] of shares) {
      const price =
        this.#priceOf(share.texts, share.tokens) + this.#callPrice(calls, share.texts / texts.length);
      add(this.#accountOf(namespace), { ...share, calls, price });
      add(this.#total, { ...share, calls: 0, price });
    }
    this.#total.calls += calls;
  }

  /** One call with the texts of one namespace. */
  chargeCall(namespace: string | undefined, texts: number, tokens: number): void {
    const cost = { texts, tokens, calls: 1, price: this.#priceOf(texts, tokens) + this.#callPrice(1, 1) };
    add(this.#accountOf(namespace), cost);
    add(this.#total, cost);
  }

  get total(): EmbeddingCost {
    return { ...this.#total };
  }

  /** By namespace; texts of callers that named none under "(none)". */
  get byNamespace(): Readonly<Record<string, EmbeddingCost>> {
    return Object.fromEntries([...this.#byNamespace].map(([name, account]) => [name, { ...account }]));
  }

  #estimate(texts: readonly ChargedText[]): number {
    let tokens = 0;
    for (const text of texts) tokens += text.tokens;
    return this.#priceOf(texts.length, tokens);
  }

  #priceOf(texts: number, tokens: number): number {
    return (this.#price.perMillionTokens * tokens) / 1e6 + (this.#price.perThousandTexts * texts) / 1e3;
  }

  #callPrice(calls: number, share: number): number {
    return this.#price.perCall * calls * share;
  }

  #accountOf(namespace: string = unnamedAccount): Account {
    const name =
      this.#byNamespace.has(namespace) || this.#byNamespace.size < maxAccounts ? namespace : otherAccount;
    const account = this.#byNamespace.get(name) ?? emptyAccount();
    this.#byNamespace.set(name, account);
    return account;
  }
}

function add(account: Account, cost: EmbeddingCost): void {
  account.texts += cost.texts;
  account.tokens += cost.tokens;
  account.calls += cost.calls;
  account.price += cost.price;
}

function emptyAccount(): Account {
  return { texts: 0, tokens: 0, calls: 0, price: 0 };
}

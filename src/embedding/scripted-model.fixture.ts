import type { EmbedCall, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";

/** Answers one call of a {@link ScriptedModel}. @param number Calls before this one. */
export type Script = (
  texts: readonly string[],
  call: EmbedCall,
  number: number,
) => Promise<EmbeddingReply> | EmbeddingReply;

export const scriptedDimensions = 4;

/** The vector the scripted model has for a text: of unit length, another one for each text. */
export function vectorOf(text: string): Float32Array {
  let state = 2_166_136_261;
  const vector = new Float32Array(scriptedDimensions);
  for (let i = 0; i < scriptedDimensions; i++) {
    for (const character of `${i}${text}`)
      state = Math.imul(state ^ character.charCodeAt(0), 16_777_619) >>> 0;
    vector[i] = state / 2 ** 31 - 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

export function replyTo(texts: readonly string[]): EmbeddingReply {
  return { vectors: texts.map(vectorOf) };
}

/** A model for tests that records its calls and does with them what it is told. */
export class ScriptedModel implements EmbeddingModel {
  readonly id: string = "scripted@1";
  readonly dimensions: number = scriptedDimensions;
  readonly maxBatchSize: number = 64;
  readonly cheap: boolean;
  readonly symmetric: boolean;
  readonly calls: { readonly texts: readonly string[]; readonly task: EmbedCall["task"] }[] = [];
  closed = 0;
  readonly #script: Script;

  constructor(
    script: Script = replyTo,
    traits: { readonly cheap?: boolean; readonly symmetric?: boolean } = {},
  ) {
    this.#script = script;
    this.cheap = traits.cheap ?? false;
    this.symmetric = traits.symmetric ?? false;
  }

  get texts(): string[] {
    return this.calls.flatMap((call) => call.texts);
  }

  doEmbed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> | EmbeddingReply {
    this.calls.push({ texts, task: call.task });
    return this.#script(texts, call, this.calls.length - 1);
  }

  close(): void {
    this.closed++;
  }
}

/** Rejects when the signal fires, as a well-behaved provider does that never answers otherwise. */
export function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** A promise and what settles it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

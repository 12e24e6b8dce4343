/**
 * One step of a workload, a line of a record. Keys are hashes, or whatever tells equal texts from others; a record
 * needs no text.
 */
export type WorkloadStep =
  /** A question: a look-up in the query cache, and for a miss one for the question's vector, then the search. */
  | {
      readonly op: "recall";
      readonly namespace: string;
      /** Of the question and all else its answer depends on. */
      readonly key: string;
      /** Of its text alone, by which its vector is known; absent: the same. */
      readonly question?: string | undefined;
      /** UTF-16 units of the question. */
      readonly length: number;
      /** Of its answer, as the cache counts them; absent where it was not computed. */
      readonly bytes?: number | undefined;
      /** To compute it. */
      readonly ms?: number | undefined;
      /** Only in a record that was asked to hold them. */
      readonly text?: string | undefined;
    }
  /** A text that is stored. */
  | { readonly op: "embed"; readonly key: string; readonly length: number }
  /** Answers of the namespace are worth nothing from here on. */
  | { readonly op: "write"; readonly namespace: string };

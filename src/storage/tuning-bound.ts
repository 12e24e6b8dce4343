/** Decisions of self-tuning that a store keeps. */
export const maxTuningDecisions = 1_000;

import type { Metadata } from "../contract/memory.ts";

/** What taking another memory in changes of the one that is kept; `T` is a tier as the driver writes it. */
export interface KeptState<T> {
  readonly version: number;
  readonly updatedAt: number;
  readonly tier: T;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly importance: number;
  readonly accessCount: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
}

export interface KeptChange<T> {
  readonly before: KeptState<T>;
  readonly after: KeptState<T>;
}

/**
 * State of a kept memory with a change taken back; its tier and its uses since then stay.
 * @param expiryOf When it would expire in its tier, last used at a time.
 */
export function takenBack<T>(
  now: KeptState<T>,
  { before, after }: KeptChange<T>,
  nowMs: number,
  expiryOf: (lastUsedAt: number) => number,
): KeptState<T> {
  const isUsed = now.lastUsedAt > after.lastUsedAt;
  const lastUsedAt = isUsed ? now.lastUsedAt : before.lastUsedAt;
  const expiresAt = isUsed ? Math.max(before.expiresAt, expiryOf(lastUsedAt)) : before.expiresAt;
  return {
    ...before,
    tier: now.tier,
    accessCount: before.accessCount + Math.max(0, now.accessCount - after.accessCount),
    lastUsedAt,
    expiresAt: expiresAt > nowMs && now.tier === before.tier ? expiresAt : now.expiresAt,
  };
}

import { StrataError } from "../contract/errors.ts";

/** An opaque cursor that holds numbers, e.g. a position per partition; `kind` keeps one list's cursor out of another's. */
export function encodeCursor(kind: string, numbers: readonly number[]): string {
  return Buffer.from(`${kind}:${numbers.join(":")}`).toString("base64url");
}

/** @throws INVALID_CURSOR when it is not a cursor of this kind with so many numbers, if that is said. */
export function decodeCursor(kind: string, cursor: string, count?: number): number[] {
  const [found, ...parts] = Buffer.from(cursor, "base64url").toString("latin1").split(":");
  const numbers = parts.map(Number);
  const whole = parts.every((part, at) => part !== "" && Number.isSafeInteger(numbers[at]));
  if (found !== kind || (count ?? numbers.length) !== numbers.length || !whole) throw invalidCursor();
  return numbers;
}

/** An opaque cursor that holds a name. */
export function encodeNameCursor(kind: string, name: string): string {
  return Buffer.from(`${kind}:${name}`).toString("base64url");
}

/** @throws INVALID_CURSOR */
export function decodeNameCursor(kind: string, cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (!text.startsWith(`${kind}:`)) throw invalidCursor();
  return text.slice(kind.length + 1);
}

/** The two halves of a double, as a cursor can hold it to the bit. */
export function halvesOf(value: number): readonly [number, number] {
  const halves = new Uint32Array(new Float64Array([value]).buffer);
  return [halves[0]!, halves[1]!];
}

export function ofHalves(low: number, high: number): number {
  return new Float64Array(new Uint32Array([low, high]).buffer)[0]!;
}

/** What a store answers to a cursor that it did not make for the same list. */
export function invalidCursor(): StrataError {
  return new StrataError(
    "INVALID_CURSOR",
    "Expected a cursor that this store returned for the same list; got another text. Start again without a cursor.",
  );
}

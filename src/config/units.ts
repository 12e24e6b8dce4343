/** Units that numbers of settings have. */
export type Unit = "seconds" | "bytes";

const factors: Readonly<Record<Unit, Readonly<Record<string, number>>>> = {
  seconds: {
    ms: 0.001,
    s: 1,
    sec: 1,
    second: 1,
    seconds: 1,
    m: 60,
    min: 60,
    minute: 60,
    minutes: 60,
    h: 3_600,
    hour: 3_600,
    hours: 3_600,
    d: 86_400,
    day: 86_400,
    days: 86_400,
  },
  bytes: {
    b: 1,
    bytes: 1,
    k: 1_000,
    kb: 1_000,
    kib: 1_024,
    m: 1e6,
    mb: 1e6,
    mib: 2 ** 20,
    g: 1e9,
    gb: 1e9,
    gib: 2 ** 30,
  },
};

/** What to say of a value that seems to be in another unit; undefined when it does not. */
export function inUnit(value: unknown, unit: Unit, fallback: number | undefined): string | undefined {
  if (typeof value === "number") {
    const thousandfold = unit === "seconds" && fallback !== undefined && fallback > 0;
    if (!thousandfold || !(value >= 1_000 * fallback) || value % 1_000 !== 0) return undefined;
    return `It is in seconds: ${value} are ${Math.round(value / 8_640) / 10} days; were milliseconds meant?`;
  }
  const [, amount = "", name = ""] = /^\s*([\d.]+)\s*([a-z]+)\s*$/i.exec(String(value)) ?? [];
  const factor = factors[unit][name.toLowerCase()];
  const converted = Number(amount) * (factor ?? Number.NaN);
  return Number.isFinite(converted) ? `In ${unit}, and without a unit, that is ${converted}.` : undefined;
}

/** Units of a term that its key holds, and the greatest that it tells from others. */
const keyUnits = 5;
const greatestUnit = 127;
const unitValues = greatestUnit + 1;
/** Terms that a key of 52 bits can number beside its units. */
const maxKeyed = 2 ** 17;

/** Places of the terms in the order of their UTF-16 units. */
export function sortedTerms(terms: readonly string[]): number[] {
  if (terms.length > maxKeyed) return sortedPlaces(terms, Array.from(terms.keys()));
  // Numbers are sorted in a tenth of the time: first by the beginning of the terms, then those that begin alike.
  const keys = new Float64Array(terms.length);
  for (let at = 0; at < terms.length; at++) keys[at] = beginningOf(terms[at]!) * maxKeyed + at;
  keys.sort();
  const places = new Array<number>(keys.length);
  for (let from = 0; from < keys.length; ) {
    const beginning = Math.floor(keys[from]! / maxKeyed);
    let to = from;
    for (; to < keys.length && Math.floor(keys[to]! / maxKeyed) === beginning; to++) {
      places[to] = keys[to]! - beginning * maxKeyed;
    }
    if (to - from > 1) {
      const alike = sortedPlaces(terms, places.slice(from, to));
      for (let i = 0; i < alike.length; i++) places[from + i] = alike[i]!;
    }
    from = to;
  }
  return places;
}

/** Never greater for a term that comes before. */
function beginningOf(term: string): number {
  let key = 0;
  for (let i = 0; i < keyUnits; i++) {
    // A shorter term stands before a longer one, whose next unit may be 0: both count as 0 here.
    const unit = i < term.length ? Math.min(greatestUnit, term.charCodeAt(i)) : 0;
    key = key * unitValues + unit;
    // Nothing after a unit that stands for many tells them apart.
    if (unit === greatestUnit) return key * unitValues ** (keyUnits - 1 - i);
  }
  return key;
}

function sortedPlaces(terms: readonly string[], places: number[]): number[] {
  return places.sort((a, b) => (terms[a]! < terms[b]! ? -1 : 1));
}

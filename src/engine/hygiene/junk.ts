/** Why a text is not worth keeping. */
export type JunkReason = "no-words" | "too-short" | "repeated" | "boilerplate";

/** Phrases that say nothing without what they answered. */
const boilerplate =
  /^(?:ok(?:ay)?|yes|no|sure|thanks?(?: you)?|hi|hello|hey|test(?:ing)?|asdf+|foo|bar|todo|n\/a|null|undefined|none|lorem ipsum\b.*|as an ai (?:language )?model\b.*|i(?:'m| am) sorry, (?:but )?i can(?:'t|not)\b.*)$/i;
/** Longest text that is compared with them, in UTF-16 units. */
const longestPhrase = 200;

/** Why a text is junk; undefined for what may mean something. A turn of a conversation means something by its place. */
export function junkReason(content: string, isTurn: boolean): JunkReason | undefined {
  const text = content.trim();
  if (!/[\p{L}\p{N}]/u.test(text)) return isTurn ? undefined : "no-words";
  if (isTurn) return undefined;
  if (text.length < 2 && /\p{ASCII}/u.test(text)) return "too-short";
  // One sign, or one short piece, over and over.
  if (text.length >= 8 && new Set(text.replace(/\s/g, "")).size <= 2) return "repeated";
  const words = text.toLowerCase().split(/\s+/);
  if (words.length >= 8 && new Set(words).size === 1) return "repeated";
  const phrase = text.replace(/[.!?]+$/, "");
  return phrase.length <= longestPhrase && boilerplate.test(phrase) ? "boilerplate" : undefined;
}

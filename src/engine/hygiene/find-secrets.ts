/** Something in a text that looks like a credential. The credential itself is never told. */
export interface SecretFinding {
  /** Name of the rule, such as "github-token". */
  readonly rule: string;
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

interface SecretRule {
  readonly name: string;
  /** How its tokens begin; each stands in {@link beginnings} as well. */
  readonly begins: readonly string[];
  /** Sticky; every repetition is bounded, so that a scan takes time in proportion to the text. */
  readonly pattern: RegExp;
  /** May follow a letter, digit, "_" or "-". */
  readonly inside?: boolean;
  /** The part that has to look random is the first group, else all of it; false: no part has to. */
  readonly random?: false;
}

/**
 * Published formats of credentials: a fixed beginning, an alphabet and a length. Sources: the providers' own
 * documentation of their token formats, as GitHub's and GitLab's secret scanning list them.
 */
const rules: readonly SecretRule[] = [
  rule("aws-access-key", ["AKIA", "ASIA"], /A[KS]IA([A-Z2-7]{16})(?![A-Z0-9])/y),
  rule("github-token", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], /gh[pousr]_([A-Za-z0-9]{36,255})(?!\w)/y),
  rule("github-token", ["github_pat_"], /github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})(?!\w)/y),
  rule("gitlab-token", ["glpat-", "gldt-", "glrt-", "glptt-"], /gl(?:pat|dt|rt|ptt)-([\w-]{20,300})/y),
  rule(
    "slack-token",
    ["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"],
    /(?:xox[abeprs]|xapp)-(\d[\w-]{15,300})/y,
  ),
  rule(
    "slack-webhook",
    ["hooks.slack.com/services/"],
    /hooks\.slack\.com\/services\/(T\w{8,12}\/B\w{8,12}\/\w{24})/y,
  ),
  rule(
    "stripe-key",
    ["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
    /[sr]k_(?:live|test)_([A-Za-z0-9]{16,255})/y,
  ),
  rule("stripe-webhook", ["whsec_"], /whsec_([A-Za-z0-9+/=]{32,100})/y),
  rule("anthropic-key", ["sk-ant-"], /sk-ant-[a-z]{3,6}\d\d-([\w-]{40,200})/y),
  rule("openai-key", ["sk-proj-", "sk-svcacct-", "sk-admin-"], /sk-(?:proj|svcacct|admin)-([\w-]{40,300})/y),
  rule("openai-key", ["sk-"], /sk-([A-Za-z0-9]{40,60})(?![\w-])/y),
  rule("google-api-key", ["AIza"], /AIza([\w-]{35})(?![\w-])/y),
  rule("google-oauth", ["GOCSPX-", "ya29."], /(?:GOCSPX-|ya29\.)([\w-]{28,400})/y),
  rule("json-web-token", ["eyJ"], /eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.([\w-]{20,1000})/y),
  {
    ...rule("private-key", ["-----BEGIN "], /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/y),
    inside: true,
    random: false,
  },
  rule("npm-token", ["npm_"], /npm_([A-Za-z0-9]{36})(?!\w)/y),
  rule("pypi-token", ["pypi-"], /pypi-(AgEIcHlwaS5vcmc[\w-]{50,300})/y),
  rule("hugging-face-token", ["hf_"], /hf_([A-Za-z0-9]{34})(?!\w)/y),
  rule("sendgrid-key", ["SG."], /SG\.([\w-]{22}\.[\w-]{43})(?![\w-])/y),
  rule("digitalocean-token", ["dop_v1_", "doo_v1_"], /do[op]_v1_([a-f0-9]{64})(?!\w)/y),
  rule("azure-storage-key", ["AccountKey="], /AccountKey=([A-Za-z0-9+/]{86}==)/y),
  {
    ...rule("password-in-url", ["://"], /:\/\/[^\s:@/?#"'<>]{1,128}:([^\s:@/?#"'<>]{3,128})@[^\s/]/y),
    inside: true,
    random: false,
  },
];

function rule(name: string, begins: readonly string[], pattern: RegExp): SecretRule {
  return { name, begins, pattern };
}

/** Every beginning: the one pattern that runs over all text. */
const beginnings = new RegExp(
  rules.flatMap(({ begins }) => begins.map((each) => each.replace(/[.\\/]/g, "\\$&"))).join("|"),
  "g",
);
/** What documentation writes in place of a password. */
const placeholder =
  /^(?:pass(?:word|wd)?|pw|pwd|secret|user|token|key|example|changeme|\*+|x+|\.+|\$.*|\{.*|%.*)$/i;
/** Bits a character from which on a token is no placeholder such as "xxxx" or "abcabc". */
const leastEntropy = 2.5;

/**
 * What in a text looks like a credential, in order, none inside another. Takes time in proportion to the text; a text
 * without the beginning of one is only run over once.
 * @param most Stops after so many.
 */
export function findSecrets(text: string, most = 100): SecretFinding[] {
  const findings: SecretFinding[] = [];
  beginnings.lastIndex = 0;
  for (let match = beginnings.exec(text); match && findings.length < most; match = beginnings.exec(text)) {
    const found = findAt(text, match.index, match[0]);
    if (!found) continue;
    findings.push(found);
    beginnings.lastIndex = Math.max(found.end, match.index + 1);
  }
  return findings;
}

function findAt(text: string, start: number, begin: string): SecretFinding | undefined {
  const inside = start > 0 && /[\w-]/.test(text[start - 1]!);
  for (const { name, begins, pattern, inside: mayBeInside, random } of rules) {
    if (!begins.some((each) => each === begin || (begin.startsWith(each) && each === "sk-"))) continue;
    if (inside && mayBeInside !== true) continue;
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    if (!match) continue;
    const value = match[1] ?? match[0];
    const isReal = random === false ? !placeholder.test(value) : isRandom(value);
    if (isReal) return { rule: name, start, end: start + match[0].length };
  }
  return undefined;
}

/** Shannon's entropy of the characters; the example key of a provider's manual is no secret. */
function isRandom(value: string): boolean {
  if (/example/i.test(value)) return false;
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits >= leastEntropy;
}

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { findSecrets } from "./find-secrets.ts";

/** Looks random, is the same each time, and is nobody's. */
function random(
  length: number,
  alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
): string {
  let state = 12_345;
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return alphabet[Math.floor((state / 2 ** 31) * alphabet.length)];
  }).join("");
}

/** Put together here, so that the repository holds nothing that looks like one. */
const secrets: Readonly<Record<string, readonly string[]>> = {
  "aws-access-key": [`AKIA${random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")}`],
  "github-token": [`ghp_${random(36)}`, `ghs_${random(36)}`, `github_pat_${random(22)}_${random(59)}`],
  "gitlab-token": [`glpat-${random(20)}`],
  "slack-token": [`xoxb-${random(12, "0123456789")}-${random(24)}`],
  "slack-webhook": [`https://hooks.slack.com/services/T${random(9)}/B${random(9)}/${random(24)}`],
  "stripe-key": [`sk_live_${random(24)}`, `rk_test_${random(99)}`],
  "stripe-webhook": [`whsec_${random(32)}`],
  "anthropic-key": [`sk-ant-api03-${random(93)}-AA`],
  "openai-key": [`sk-${random(48)}`, `sk-proj-${random(74)}_${random(20)}`],
  "google-api-key": [`AIza${random(35)}`],
  "google-oauth": [`GOCSPX-${random(28)}`],
  "json-web-token": [`eyJ${random(33)}.eyJ${random(70)}.${random(43)}`],
  "private-key": ["RSA ", "EC ", "OPENSSH ", ""].map((kind) => `-----BEGIN ${kind}${"PRIVATE"} KEY-----`),
  "npm-token": [`npm_${random(36)}`],
  "pypi-token": [`pypi-AgEIcHlwaS5vcmc${random(120)}`],
  "hugging-face-token": [`hf_${random(34)}`],
  "sendgrid-key": [`SG.${random(22)}.${random(43)}`],
  "digitalocean-token": [`dop_v1_${random(64, "0123456789abcdef")}`],
  "azure-storage-key": [`AccountKey=${random(86)}==`],
  "password-in-url": [`postgres://ada:${random(12)}@db.internal:5432/main`],
};

suite("findSecrets", () => {
  test("finds a key in a sentence, and tells where it stands", () => {
    const key = secrets["github-token"]![0]!;
    const [found, ...more] = findSecrets(`The deploy token is ${key}, keep it.`);
    assert.deepEqual(found, { rule: "github-token", start: 20, end: 20 + key.length });
    assert.deepEqual(more, []);
  });

  for (const [rule, samples] of Object.entries(secrets)) {
    test(`knows ${rule}, alone, quoted, assigned and at the end of a line`, () => {
      for (const sample of samples) {
        for (const text of [sample, `"${sample}"`, `KEY=${sample}`, `a: ${sample}\nb`, `茶 ${sample}。`]) {
          assert.deepEqual(
            findSecrets(text).map((found) => found.rule),
            [rule],
            rule,
          );
        }
      }
    });
  }

  test("several in one text are found in order, none twice", () => {
    const text = Object.values(secrets).flat().join(" and ");
    const found = findSecrets(text);
    assert.equal(found.length, Object.values(secrets).flat().length);
    for (const [at, { start }] of found.entries()) assert.ok(at === 0 || start >= found[at - 1]!.end);
    assert.equal(findSecrets(text, 2).length, 2);
  });

  const harmless = [
    "Ada prefers tea; book the 7th, see https://example.com/a:b@c and ada@example.com",
    "AKIAIOSFODNN7EXAMPLE is the key of the manual",
    `ghp_${"x".repeat(36)}`,
    "npm_config_registry and sk-learn, hf_transfer, eyJ and -----BEGIN CERTIFICATE-----",
    "postgres://user:password@localhost/db, https://ada:***@host, redis://:$" + "{PASSWORD}@host/",
    "the commit 0123456789abcdef0123456789abcdef01234567 of task-sk-12",
    `the word mask-${random(48)} goes on`,
    "d41d8cd98f00b204e9800998ecf8427e",
  ];
  for (const text of harmless)
    test(`finds nothing in "${text.slice(0, 40)}"`, () => assert.deepEqual(findSecrets(text), []));

  test("offsets are those of the text, whatever stands around", () => {
    const key = secrets["stripe-key"]![0]!;
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (before, after) => {
        const text = `${before} ${key} ${after}`;
        assert.ok(findSecrets(text).some(({ start, end }) => text.slice(start, end) === key));
      }),
    );
  });

  test("ten million characters made to be slow are run over once", () => {
    for (const unit of ["eyJ", "://a:"]) {
      assert.deepEqual(findSecrets(unit.repeat(10_000_000 / unit.length)), []);
    }
    const units = ["eyJaaaaaaaaaaaa.", "://", "sk-", "AKIA", "-----BEGIN ", "xoxb-1", "ghp_", "://aa:aa"];
    for (const unit of units) assert.deepEqual(findSecrets(unit.repeat(20_000)), [], unit);
  });
});

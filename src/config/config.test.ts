import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { StrataError } from "../contract/errors.ts";
import { loadConfig } from "./config.ts";
import { settings } from "./settings.ts";

function refuses(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(StrataError.isInstance(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

suite("configuration", () => {
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "strata config ")));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  test("an empty environment gives the defaults of the reference", () => {
    const config = loadConfig({}, { environment: {}, cwd: folder, dataFolder: join(folder, "data") });
    assert.deepEqual(config.database, {
      path: join(folder, "data", "memory.db"),
      origin: "user's data folder",
    });
    assert.equal(config.namespace, "default");
    assert.equal(config.durability, "process");
    assert.equal(config.decayRate, 0.1);
    assert.deepEqual(config.tiers.working, { ttlSeconds: 900, capacity: 15 });
    assert.deepEqual(config.tiers.semantic, { ttlSeconds: 0, capacity: 0 });
  });

  test("the nearest .strata folder upward holds the memory", () => {
    mkdirSync(join(folder, ".strata"));
    mkdirSync(join(folder, "a", "b"), { recursive: true });
    const { database } = loadConfig({}, { environment: {}, cwd: join(folder, "a", "b") });
    assert.deepEqual(database, {
      path: join(folder, ".strata", "memory.db"),
      origin: "nearest .strata folder",
    });
  });

  test("the environment wins over the folder, and code over the environment", () => {
    mkdirSync(join(folder, ".strata"));
    const environment = {
      STRATA_PATH: "named.db",
      STRATA_NAMESPACE: "named",
      STRATA_MEMORY_WORKING_TTL: "60",
    };
    const named = loadConfig({}, { environment, cwd: folder });
    assert.deepEqual(named.database, { path: join(folder, "named.db"), origin: "environment" });
    assert.equal(named.namespace, "named");
    assert.equal(named.tiers.working.ttlSeconds, 60);
    const given = loadConfig(
      { path: "given.db", namespace: "given", config: { "memory.working_ttl": 30 } },
      { environment, cwd: folder },
    );
    assert.deepEqual(given.database, { path: join(folder, "given.db"), origin: "given" });
    assert.equal(given.namespace, "given");
    assert.equal(given.tiers.working.ttlSeconds, 30);
  });

  test("a variable that names no setting is refused with the nearest one that does", () => {
    const environment = { STRATA_MEMORY_WORKING_TLL: "60" };
    assert.throws(
      () => loadConfig({}, { environment }),
      refuses("INVALID_CONFIGURATION", /did you mean "STRATA_MEMORY_WORKING_TTL"/),
    );
  });

  test("a setting that does not exist is refused with the nearest one that does", () => {
    assert.throws(
      () => loadConfig({ config: { "memory.workin_ttl": 1 } }),
      refuses("INVALID_CONFIGURATION", /did you mean "memory.working_ttl"/),
    );
  });

  test("variables of the project's tests configure nothing", () => {
    assert.equal(loadConfig({}, { environment: { STRATA_TEST_REQUIRE: "x" } }).namespace, "default");
  });

  for (const [variable, value] of [
    ["STRATA_MEMORY_WORKING_TTL", "-1"],
    ["STRATA_MEMORY_WORKING_TTL", "NaN"],
    ["STRATA_MEMORY_WORKING_TTL", ""],
    ["STRATA_MEMORY_WORKING_CAPACITY", "1.5"],
    ["STRATA_MEMORY_IMPORTANCE_DECAY_RATE", "2"],
    ["STRATA_DURABILITY", "none"],
  ] as const) {
    test(`${variable}="${value}" is refused by name and without its value`, () => {
      assert.throws(
        () => loadConfig({}, { environment: { [variable]: value } }),
        refuses("INVALID_CONFIGURATION", new RegExp(variable)),
      );
    });
  }

  test("a value of the wrong type in code is refused", () => {
    const config = { "memory.working_ttl": "60" };
    assert.throws(() => loadConfig({ config }), refuses("INVALID_CONFIGURATION", /memory.working_ttl/));
  });

  test("a namespace with white space is refused", () => {
    assert.throws(() => loadConfig({ namespace: "two words" }), refuses("INVALID_ARGUMENT", /namespace/));
  });

  test("every setting has its own key, variable and description, and takes its own default", () => {
    assert.equal(new Set(settings.map((setting) => setting.key)).size, settings.length);
    assert.equal(new Set(settings.map((setting) => setting.variable)).size, settings.length);
    for (const setting of settings) {
      assert.notEqual(setting.description, "");
      if (setting.default !== undefined)
        assert.equal(setting.parse(String(setting.default)), setting.default);
    }
  });
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { StrataError } from "../contract/errors.ts";
import { type ConfigSources, loadConfig, readSettings } from "./config.ts";
import { configTemplate } from "./config-template.ts";
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

  test("an empty environment gives the defaults of the reference", async () => {
    const config = await loadConfig({}, { environment: {}, cwd: folder, dataFolder: join(folder, "data") });
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

  test("the nearest .strata folder upward holds the memory", async () => {
    mkdirSync(join(folder, ".strata"));
    mkdirSync(join(folder, "a", "b"), { recursive: true });
    const { database } = await loadConfig({}, { environment: {}, cwd: join(folder, "a", "b") });
    assert.deepEqual(database, {
      path: join(folder, ".strata", "memory.db"),
      origin: "nearest .strata folder",
    });
  });

  test("the environment wins over the folder, and code over the environment", async () => {
    mkdirSync(join(folder, ".strata"));
    const environment = {
      STRATA_PATH: "named.db",
      STRATA_NAMESPACE: "named",
      STRATA_MEMORY_WORKING_TTL: "60",
    };
    const named = await loadConfig({}, { environment, cwd: folder });
    assert.deepEqual(named.database, { path: join(folder, "named.db"), origin: "environment" });
    assert.equal(named.namespace, "named");
    assert.equal(named.tiers.working.ttlSeconds, 60);
    const given = await loadConfig(
      { path: "given.db", namespace: "given", config: { "memory.working_ttl": 30 } },
      { environment, cwd: folder },
    );
    assert.deepEqual(given.database, { path: join(folder, "given.db"), origin: "given" });
    assert.equal(given.namespace, "given");
    assert.equal(given.tiers.working.ttlSeconds, 30);
  });

  test("a variable that names no setting is refused with the nearest one that does", async () => {
    const environment = { STRATA_MEMORY_WORKING_TLL: "60" };
    await assert.rejects(
      loadConfig({}, { environment }),
      refuses("INVALID_CONFIGURATION", /did you mean "STRATA_MEMORY_WORKING_TTL"/),
    );
  });

  test("a setting that does not exist is refused with the nearest one that does", async () => {
    await assert.rejects(
      loadConfig({ config: { "memory.workin_ttl": 1 } }),
      refuses("INVALID_CONFIGURATION", /did you mean "memory.working_ttl"/),
    );
  });

  test("variables of the project's tests configure nothing", async () => {
    assert.equal((await loadConfig({}, { environment: { STRATA_TEST_REQUIRE: "x" } })).namespace, "default");
  });

  for (const [variable, value] of [
    ["STRATA_MEMORY_WORKING_TTL", "-1"],
    ["STRATA_MEMORY_WORKING_TTL", "NaN"],
    ["STRATA_MEMORY_WORKING_TTL", ""],
    ["STRATA_MEMORY_WORKING_CAPACITY", "1.5"],
    ["STRATA_MEMORY_IMPORTANCE_DECAY_RATE", "2"],
    ["STRATA_DURABILITY", "none"],
  ] as const) {
    test(`${variable}="${value}" is refused by name and without its value`, async () => {
      await assert.rejects(
        loadConfig({}, { environment: { [variable]: value } }),
        refuses("INVALID_CONFIGURATION", new RegExp(variable)),
      );
    });
  }

  test("a value of the wrong type in code is refused", async () => {
    const config = { "memory.working_ttl": "60" };
    await assert.rejects(loadConfig({ config }), refuses("INVALID_CONFIGURATION", /memory.working_ttl/));
  });

  test("a namespace with white space is refused", async () => {
    await assert.rejects(loadConfig({ namespace: "two words" }), refuses("INVALID_ARGUMENT", /namespace/));
  });

  test("every setting has its own key, variable and description, and takes its own default", () => {
    assert.equal(new Set(settings.map((setting) => setting.key)).size, settings.length);
    assert.equal(new Set(settings.map((setting) => setting.variable)).size, settings.length);
    for (const setting of settings) {
      assert.notEqual(setting.description, "");
      if (setting.default !== undefined)
        assert.deepEqual(setting.parse(String(setting.default)), setting.default);
    }
  });

  function write(path: string, text: string): string {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
    return join(folder, path);
  }

  /** Nothing of this machine takes part. */
  function sources(environment: Record<string, string> = {}): ConfigSources {
    return { environment, cwd: folder, dataFolder: join(folder, "data"), configFolder: join(folder, "user") };
  }

  test("strata.toml beside the .strata folder configures the project, from every folder below", async () => {
    mkdirSync(join(folder, ".strata"));
    mkdirSync(join(folder, "a"));
    write("strata.toml", 'namespace = "project"\n[memory]\nworking_ttl = 60\n');
    const config = await loadConfig({}, { ...sources(), cwd: join(folder, "a") });
    assert.equal(config.namespace, "project");
    assert.equal(config.tiers.working.ttlSeconds, 60);
  });

  test("strata.toml in a folder without .strata is somebody else's", async () => {
    write("strata.toml", 'namespace = "stray"\n');
    assert.equal((await loadConfig({}, sources())).namespace, "default");
  });

  test("later wins: default, user's file, project's file, environment, code; each value tells its origin", async () => {
    mkdirSync(join(folder, ".strata"));
    const ttls = ["working", "short_term", "episodic", "long_term"].map((tier) => `${tier}_ttl`);
    const user = write("user/strata.toml", `[memory]\n${ttls.map((key) => `${key} = 1\n`).join("")}`);
    const project = write(
      "strata.toml",
      `[memory]\n${ttls
        .slice(0, 3)
        .map((key) => `${key} = 2\n`)
        .join("")}`,
    );
    const environment = { STRATA_MEMORY_WORKING_TTL: "3", STRATA_MEMORY_SHORT_TERM_TTL: "3" };
    const { get } = await readSettings({ config: { "memory.working_ttl": 4 } }, sources(environment));
    const read = ["working", "short_term", "episodic", "long_term", "semantic"].map((tier) => {
      const { value, origin } = get(`memory.${tier}_ttl`);
      return [value, origin];
    });
    assert.deepEqual(read, [
      [4, "given"],
      [3, "STRATA_MEMORY_SHORT_TERM_TTL"],
      [2, project],
      [1, user],
      [0, "default"],
    ]);
  });

  test("a file that is named stands alone", async () => {
    mkdirSync(join(folder, ".strata"));
    write("user/strata.toml", 'namespace = "user"\n');
    write("strata.toml", 'durability = "power"\n');
    const named = write("other.toml", "[memory]\nworking_ttl = 1\n");
    for (const [overrides, environment] of [
      [{ configFile: named }, {}],
      [{}, { STRATA_CONFIG: named }],
    ] as const) {
      const config = await loadConfig(overrides, sources(environment));
      assert.equal(config.tiers.working.ttlSeconds, 1);
      assert.equal(config.namespace, "default");
      assert.equal(config.durability, "process");
    }
    assert.equal((await loadConfig({ configFile: false }, sources())).namespace, "default");
    await assert.rejects(
      loadConfig({ configFile: "missing.toml" }, sources()),
      refuses("FILE_NOT_FOUND", /missing\.toml/),
    );
  });

  test("a relative path in a file counts from the file's folder", async () => {
    const file = write("deep/down/strata.toml", 'path = "memory.db"\n');
    const { database } = await loadConfig({ configFile: file }, sources());
    assert.deepEqual(database, {
      path: join(folder, "deep", "down", "memory.db"),
      origin: "configuration file",
    });
  });

  test("an unknown key in a file is refused with the nearest known one", async () => {
    const configFile = write("strata.toml", "[memory]\nworkin_ttl = 60\n");
    await assert.rejects(
      loadConfig({ configFile }, sources()),
      refuses(
        "INVALID_CONFIGURATION",
        /"memory.workin_ttl" in .*strata\.toml: unknown key; did you mean "memory.working_ttl"/,
      ),
    );
  });

  for (const [line, message] of [
    ['working_ttl = "15m"', /whole number of seconds .* In seconds, and without a unit, that is 900\./],
    ['working_ttl = "2 hours"', /that is 7200\./],
    ["working_ttl = true", /whole number of seconds/],
    ["working_ttl = [1]", /whole number of seconds/],
    ["working_ttl = 2020-01-01", /whole number of seconds/],
    ["working_ttl = nan", /whole number of seconds/],
    ['importance_decay_rate = "10 %"', /number from 0 to 1/],
  ] as const) {
    test(`${line} is refused, with the value in the right unit where there is one`, async () => {
      const configFile = write("strata.toml", `[memory]\n${line}\n`);
      await assert.rejects(loadConfig({ configFile }, sources()), refuses("INVALID_CONFIGURATION", message));
    });
  }

  test("a size with a unit is refused with its bytes", async () => {
    const configFile = write("strata.toml", '[document]\nmax_file_size = "10 MiB"\n');
    await assert.rejects(
      loadConfig({ configFile }, sources()),
      refuses("INVALID_CONFIGURATION", /In bytes, and without a unit, that is 10485760\./),
    );
  });

  test("a time that looks like milliseconds is taken, and asked about", async () => {
    const configFile = write("strata.toml", "[memory]\nworking_ttl = 900000\n");
    const { notices } = await loadConfig({ configFile }, sources());
    assert.match(notices.join("\n"), /memory.working_ttl: It is in seconds: .*milliseconds/);
  });

  test("text that is no TOML is refused by line and column, and not quoted", async () => {
    const configFile = write("strata.toml", 'namespace = "a"\nsecret value\n');
    await assert.rejects(loadConfig({ configFile }, sources()), (error) => {
      assert.ok(refuses("INVALID_CONFIGURATION", /line 2, column/)(error));
      return !(error as Error).message.includes("secret");
    });
  });

  test("every key of the reference loads, with a sentence for each that means something else here", async () => {
    const configFile = write("strata.toml", referenceFile);
    const { notices, tiers, document } = await loadConfig({ configFile }, sources());
    assert.deepEqual(tiers.episodic, { ttlSeconds: 604_800, capacity: 5_000 });
    assert.deepEqual(document, { chunkSize: 512, overlap: 50, maxFileBytes: 10_485_760 });
    const told = notices.map((notice) => notice.slice(0, notice.indexOf(":")));
    for (const { key, asInReference } of settings) if (!asInReference) assert.ok(told.includes(key), key);
    assert.ok(told.includes("embedding.model"));
  });

  test("vectors of another dimension, overlaps over half a chunk and models without a name are refused", async () => {
    for (const [config, message] of [
      [{ "document.chunk_size": 64, "document.chunk_overlap": 40 }, /at most half/],
      [{ "embedding.provider": "onnx" }, /needs embedding.model/],
      [{ "embedding.provider": "http", "embedding.model": "m" }, /needs embedding.url/],
    ] as const)
      await assert.rejects(loadConfig({ config }, sources()), refuses("INVALID_CONFIGURATION", message));
  });

  test("a service's model is named with its address, its key read from the variable that is named", async () => {
    const config = {
      "embedding.provider": "http",
      "embedding.model": "m",
      "embedding.url": "http://localhost:1/v1",
      "embedding.key_variable": "SERVICE_KEY",
    };
    const { embedding } = await loadConfig({ config }, sources({ SERVICE_KEY: "k" }));
    assert.equal(embedding.model, "http:http://localhost:1/v1#m");
    assert.equal(embedding.apiKey?.(), "k");
  });

  test("the file that init writes is read, changes nothing, and names every setting", async () => {
    const configFile = write("strata.toml", configTemplate());
    const { get, notices } = await readSettings({ configFile }, sources());
    assert.ok(settings.every(({ key }) => get(key).origin === "default"));
    assert.deepEqual(notices, []);
    const uncommented = configTemplate().replaceAll(/^# (\w+ = )/gm, "$1");
    const layers = await readSettings({ configFile: write("all.toml", uncommented) }, sources());
    assert.deepEqual(layers.problems, []);
    const named = settings.filter(({ key }) => layers.get(key).origin !== "default");
    const without = settings.filter((setting) => setting.default === undefined);
    assert.equal(named.length, settings.length - without.length);
  });
});

/** As a file of the reference has them. */
const referenceFile = `
[redis]
host = "localhost"
port = 6380
db = 0
pool_size = 10
connection_timeout = 5.0
command_timeout = 5.0
max_retries = 3
retry_delay = 0.5
enable_fallback = true

[memory]
working_ttl = 900
short_term_ttl = 3600
long_term_ttl = 2592000
episodic_ttl = 604800
semantic_ttl = 0
working_capacity = 15
short_term_capacity = 100
long_term_capacity = 10000
episodic_capacity = 5000
semantic_capacity = 50000
consolidation_threshold = 0.75
importance_decay_rate = 0.1
cleanup_interval = 300
enable_background_tasks = true
auto_consolidate = true

[embedding]
provider = "builtin"
model = "all-MiniLM-L6-v2"
dimension = 256
batch_size = 32
cache_embeddings = true

[vector_store]
dimension = 256
distance_metric = "cosine"
index_type = "hnsw"
hnsw_m = 16
hnsw_ef_construction = 200
hnsw_ef_search = 50

[document]
chunk_size = 512
chunk_overlap = 50
min_chunk_size = 100
max_chunk_size = 1000
chunking_method = "fixed"
supported_formats = ["txt", "md", "pdf"]
max_file_size = 10485760

[monitoring]
enabled = true
track_latency = true
track_memory = true
report_interval = 60
`;

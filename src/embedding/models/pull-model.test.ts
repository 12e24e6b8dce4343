import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import type { StrataError } from "../../contract/errors.ts";
import { listModels, modelFolder, verifyStoredModel } from "./model-store.ts";
import { pullModel } from "./pull-model.ts";

const scratch = mkdtempSync(join(tmpdir(), "strata-pull-"));
const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(scratch, { recursive: true });
});

const revision = "0123456789abcdef0123456789abcdef01234567";
const files: Readonly<Record<string, string>> = {
  "README.md": "not wanted",
  "tokenizer.json": "{}",
  "config.json": '{"_name_or_path":"org/tiny"}',
  "1_Pooling/config.json": '{"pooling_mode_mean_tokens":true}',
  "onnx/model.onnx": "graph".repeat(1_000),
  "onnx/model_quantized.onnx": "smaller",
};
const wanted = ["tokenizer.json", "config.json", "1_Pooling/config.json", "onnx/model.onnx"];

let count = 0;
function emptyFolder(): string {
  const folder = join(scratch, `${++count}`);
  mkdirSync(folder);
  return folder;
}

function localModel(): string {
  const folder = emptyFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

function listed(path: string): object {
  const content = files[path]!;
  const blob = createHash("sha1").update(`blob ${content.length}\0${content}`).digest("hex");
  const lfs = { oid: createHash("sha256").update(content).digest("hex") };
  return { path, size: content.length, oid: blob, ...(path.endsWith(".onnx") && { lfs }) };
}

/** A hub on loopback that keeps one model; `spoil` may answer in its place. */
async function serveHub(spoil?: (response: ServerResponse, path: string) => boolean): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (spoil?.(response, path)) return;
    if (path === "/api/models/org/tiny/revision/main") response.end(JSON.stringify({ sha: revision }));
    else if (path === `/api/models/org/tiny/tree/${revision}?recursive=true`)
      response.end(JSON.stringify(Object.keys(files).map(listed)));
    else {
      const content = files[path.replace(`/org/tiny/resolve/${revision}/`, "")];
      if (content === undefined) response.writeHead(404);
      response.end(content);
    }
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Nothing half-done is left behind. */
function isEmpty(folder: string): boolean {
  return readdirSync(folder).length === 0;
}

suite("pulling a model from a hub", () => {
  test("brings the files a model needs, checked, with its revision", async () => {
    const folder = emptyFolder();
    const seen = new Set<string>();
    const model = await pullModel("org/tiny", {
      hub: await serveHub(),
      folder,
      onProgress: (file) => seen.add(file),
    });
    assert.equal(model.id, "org/tiny");
    assert.equal(model.revision, revision);
    assert.deepEqual(
      model.files.map(({ path }) => path),
      wanted,
    );
    for (const path of wanted) assert.equal(readFileSync(join(model.folder, path), "utf8"), files[path]);
    assert.deepEqual([...seen], wanted);
    assert.ok(!existsSync(join(model.folder, "README.md")));
    assert.equal(modelFolder("org/tiny", folder), model.folder);
    assert.deepEqual(
      listModels(folder).map(({ id }) => id),
      ["org/tiny"],
    );
  });

  test("takes a page's URL, another graph and a name of one's own", async () => {
    const folder = emptyFolder();
    const graph = "onnx/model_quantized.onnx";
    const model = await pullModel(`${await serveHub()}/org/tiny`, { folder, graph, id: "small" });
    assert.equal(model.id, "small");
    assert.ok(existsSync(join(folder, "small", graph)));
  });

  test("a graph it does not have is answered with those it has", async () => {
    const folder = emptyFolder();
    const hub = await serveHub();
    await assert.rejects(pullModel("org/tiny", { hub, folder, graph: "onnx/none.onnx" }), {
      code: "MODEL_NOT_FOUND",
      message: /onnx\/model\.onnx, onnx\/model_quantized\.onnx/,
    });
    assert.ok(isEmpty(folder));
  });

  for (const [what, content] of [
    ["changed", "G".repeat(5_000)],
    ["cut", "graph"],
    ["prolonged", "graph".repeat(2_000)],
  ] as const) {
    test(`a file that was ${what} on the way is refused, and nothing is kept`, async () => {
      const folder = emptyFolder();
      const hub = await serveHub((response, path) => {
        if (!path.endsWith("model.onnx")) return false;
        response.end(content);
        return true;
      });
      await assert.rejects(pullModel("org/tiny", { hub, folder }), { code: "CHECKSUM_MISMATCH" });
      assert.ok(isEmpty(folder));
    });
  }

  test("a small file is checked by its git hash", async () => {
    const folder = emptyFolder();
    const hub = await serveHub((response, path) => {
      if (!path.endsWith("tokenizer.json")) return false;
      response.end("[]");
      return true;
    });
    await assert.rejects(pullModel("org/tiny", { hub, folder }), { code: "CHECKSUM_MISMATCH" });
  });

  test("a connection lost on the way keeps nothing", async () => {
    const folder = emptyFolder();
    const hub = await serveHub((response, path) => {
      if (!path.endsWith("model.onnx")) return false;
      response.writeHead(200, { "content-length": "5000" }).write("graph");
      setImmediate(() => response.socket?.destroy());
      return true;
    });
    await assert.rejects(pullModel("org/tiny", { hub, folder }), { code: "MODEL_NOT_FOUND" });
    assert.ok(isEmpty(folder));
  });

  test("where no hub is reachable the error says how to bring the files", async () => {
    const hub = await serveHub();
    await new Promise((resolve) => servers.pop()!.close(resolve));
    await assert.rejects(pullModel("org/tiny", { hub, folder: emptyFolder() }), (error: StrataError) => {
      assert.equal(error.code, "MODEL_NOT_FOUND");
      for (const part of [hub, "tokenizer.json", "onnx/model.onnx", "strata model pull FOLDER --id org/tiny"])
        assert.ok(error.message.includes(part), part);
      return true;
    });
  });

  test("an abort ends it and keeps nothing", async () => {
    const folder = emptyFolder();
    const stop = new AbortController();
    const hub = await serveHub((_, path) => {
      if (path.endsWith("model.onnx")) setImmediate(() => stop.abort(new Error("enough")));
      return path.endsWith("model.onnx");
    });
    await assert.rejects(pullModel("org/tiny", { hub, folder, signal: stop.signal }), /enough/);
    assert.ok(isEmpty(folder));
  });
});

suite("pulling a model from a folder", () => {
  test("copies what is needed and remembers its hashes", async () => {
    const folder = emptyFolder();
    const model = await pullModel(localModel(), { folder, id: "mine" });
    assert.deepEqual(
      model.files.map(({ path }) => path),
      wanted,
    );
    assert.equal((await verifyStoredModel(model.folder)).id, "mine");
  });

  test("what another machine stored is checked against the hashes it wrote", async () => {
    const brought = await pullModel(localModel(), { folder: emptyFolder(), id: "mine" });
    assert.equal((await pullModel(brought.folder, { folder: emptyFolder() })).id, "mine");
    writeFileSync(join(brought.folder, "onnx/model.onnx"), "broken on the way");
    await assert.rejects(pullModel(brought.folder, { folder: emptyFolder() }), { code: "CHECKSUM_MISMATCH" });
  });

  test("a folder that is no model is refused", async () => {
    const folder = emptyFolder();
    await assert.rejects(pullModel(emptyFolder(), { folder }), { code: "MODEL_NOT_FOUND" });
    assert.ok(isEmpty(folder));
  });

  test("a second pull takes the first one's place", async () => {
    const folder = emptyFolder();
    const source = localModel();
    await pullModel(source, { folder, id: "mine" });
    writeFileSync(join(source, "config.json"), "{}");
    const again = await pullModel(source, { folder, id: "mine" });
    assert.equal(readFileSync(join(again.folder, "config.json"), "utf8"), "{}");
    assert.equal(listModels(folder).length, 1);
  });
});

suite("stored models", () => {
  test("a file that changed or went away is found", async () => {
    const { folder } = await pullModel(localModel(), { folder: emptyFolder(), id: "mine" });
    writeFileSync(join(folder, "config.json"), "[]");
    await assert.rejects(verifyStoredModel(folder), { code: "CHECKSUM_MISMATCH" });
    rmSync(join(folder, "config.json"));
    await assert.rejects(verifyStoredModel(folder), { code: "MODEL_NOT_FOUND" });
  });

  for (const id of ["../outside", "/etc", "a/b/c", ".hidden", ""]) {
    test(`"${id}" is no id`, async () => {
      await assert.rejects(pullModel(localModel(), { folder: emptyFolder(), id }), {
        code: "INVALID_ARGUMENT",
      });
      assert.throws(() => modelFolder(id, scratch), { code: "MODEL_NOT_FOUND" });
    });
  }
});

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { openModel } from "./open-model.ts";

const asked: string[] = [];
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    asked.push(`${request.headers.authorization} ${JSON.parse(Buffer.concat(parts).toString()).model}`);
    response.end(JSON.stringify({ data: [{ embedding: [1, 0] }] }));
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => server.close());
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;

test("builtin is the model that comes with the package", async () => {
  const model = await openModel("builtin");
  assert.match(model.id, /^builtin\//);
});

for (const name of [`${url}#org/embed`, `http:${url}#org/embed`]) {
  test(`${name.slice(0, 10)}… is a model behind HTTP, with the key it is given`, async () => {
    asked.length = 0;
    const model = await openModel(name, { apiKey: () => "key" });
    assert.equal(model.dimensions, 2);
    assert.deepEqual(asked, ["Bearer key org/embed"]);
    await model.close?.();
  });
}

test("onnx names a folder or a stored model", async () => {
  await assert.rejects(openModel("onnx:no/such-model#onnx/model.onnx"), { code: "MODEL_NOT_FOUND" });
});

for (const name of ["", "minilm", "onnx:", "builtin:x", "http://localhost/v1?key=secret", "ftp:x#y"]) {
  test(`"${name}" names no model`, async () => {
    await assert.rejects(openModel(name), (error: Error & { code?: string }) => {
      assert.equal(error.code, "INVALID_ARGUMENT");
      return !error.message.includes("secret");
    });
  });
}

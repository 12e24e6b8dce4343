import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, suite, test } from "node:test";
import { inspect } from "node:util";
import { StrataError } from "../../contract/errors.ts";
import { type HttpModelOptions, openHttpModel } from "./http-model.ts";

interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: { readonly model: string; readonly input: string[]; readonly dimensions?: number };
}

type Answer = (response: ServerResponse, asked: Asked) => void;

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A service on loopback that answers as it is told. */
async function serve(answer: Answer): Promise<{ readonly url: string; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString());
      const call = { path: request.url ?? "", headers: request.headers, body };
      asked.push(call);
      answer(response, call);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

/** A text's vector, told by its length so that a mix-up shows. */
function vectorOf(text: string): number[] {
  return [text.length, 1, 0];
}

const asNumbers: Answer = (response, { body }) => {
  const data = body.input.map((text, index) => ({ index, embedding: vectorOf(text) }));
  response.end(JSON.stringify({ data, usage: { prompt_tokens: 7 } }));
};

const asBase64: Answer = (response, { body }) => {
  const data = body.input.map((text, index) => ({
    index,
    embedding: Buffer.from(Float32Array.from(vectorOf(text)).buffer).toString("base64"),
  }));
  response.end(JSON.stringify({ data }));
};

const refuse =
  (status: number, headers: Record<string, string> = {}, body: unknown = {}): Answer =>
  (response) => {
    response.writeHead(status, headers).end(JSON.stringify(body));
  };

const document = { task: "document" } as const;
const secret = "sk-very-secret-key";
const text = "Ada's private diary";

async function openAt(answer: Answer, options: Partial<HttpModelOptions> = {}) {
  const { url, asked } = await serve(answer);
  return { model: await openHttpModel({ url, model: "m", dimensions: 3, ...options }), asked };
}

async function failureOf(answer: Answer, options: Partial<HttpModelOptions> = {}): Promise<StrataError> {
  const { model } = await openAt(answer, { apiKey: secret, ...options });
  const error: unknown = await model.doEmbed([text, "other"], document).then(
    () => assert.fail("answered"),
    (reason: unknown) => reason,
  );
  assert.ok(StrataError.isInstance(error), inspect(error));
  assert.ok(!inspect(error, { depth: 9 }).includes(secret), "the key is told");
  assert.ok(!inspect(error, { depth: 9 }).includes(text), "the text is told");
  return error;
}

suite("a model behind HTTP", () => {
  for (const [form, answer] of Object.entries({ numbers: asNumbers, Base64: asBase64 })) {
    test(`gives a vector a text from ${form}`, async () => {
      const { model, asked } = await openAt(answer, { apiKey: secret });
      const { vectors } = await model.doEmbed(["tea", "a"], document);
      assert.deepEqual(vectors, [Float32Array.of(3, 1, 0), Float32Array.of(1, 1, 0)]);
      assert.equal(asked[0]?.path, "/v1/embeddings");
      assert.equal(asked[0]?.headers.authorization, `Bearer ${secret}`);
      assert.deepEqual(asked[0]?.body.input, ["tea", "a"]);
    });
  }

  test("learns the dimension by one call, unless it is told", async () => {
    const { url, asked } = await serve(asNumbers);
    const model = await openHttpModel({ url, model: "m" });
    assert.equal(model.dimensions, 3);
    assert.equal(asked.length, 1);
    await openHttpModel({ url, model: "m", dimensions: 3 });
    assert.equal(asked.length, 1);
  });

  test("puts a reply in another order back into that of the texts", async () => {
    const { model } = await openAt((response, { body }) => {
      const data = body.input.map((one, index) => ({ index, embedding: vectorOf(one) })).reverse();
      response.end(JSON.stringify({ data }));
    });
    const { vectors } = await model.doEmbed(["a", "bb", "ccc"], document);
    assert.deepEqual(
      vectors.map((vector) => vector?.[0]),
      [1, 2, 3],
    );
  });

  test("counts tokens as the service does, sends prompts, headers and a shortened length", async () => {
    const { model, asked } = await openAt(asNumbers, {
      shorten: true,
      prompts: { query: "query: " },
      headers: { "x-team": "memory" },
    });
    const { tokens } = await model.doEmbed(["tea"], { task: "query" });
    assert.equal(tokens, 7);
    assert.equal(asked[0]?.body.input[0], "query: tea");
    assert.equal(asked[0]?.body.dimensions, 3);
    assert.equal(asked[0]?.headers["x-team"], "memory");
    assert.equal(model.symmetric, false);
  });

  test("asks a function for the key before every call", async () => {
    const keys = ["first", "second"];
    const { model, asked } = await openAt(asNumbers, { apiKey: () => keys.shift() });
    await model.doEmbed(["a"], document);
    await model.doEmbed(["a"], document);
    await model.doEmbed(["a"], document);
    assert.deepEqual(
      asked.map(({ headers }) => headers.authorization),
      ["Bearer first", "Bearer second", undefined],
    );
  });

  test("shows its key to nobody who looks at it", async () => {
    const { model } = await openAt(asNumbers, { apiKey: secret });
    assert.ok(!inspect(model, { depth: 9, showHidden: true }).includes(secret));
    assert.ok(!JSON.stringify(model).includes(secret));
  });
});

suite("a service that refuses", () => {
  test("too many calls: the wait it asks for is told in milliseconds", async () => {
    const error = await failureOf(refuse(429, { "retry-after": "2" }));
    assert.equal(error.code, "EMBEDDING_RATE_LIMITED");
    assert.equal(error.details["retryAfterMs"], 2_000);
    assert.equal(Reflect.get(error.cause as object, "retryAfterMs"), 2_000);
    assert.equal((await failureOf(refuse(429, { "retry-after-ms": "150" }))).details["retryAfterMs"], 150);
    assert.ok(!("retryAfterMs" in (await failureOf(refuse(429))).details));
  });

  test("a wait until a date is counted from now", async () => {
    const now = Date.UTC(2026, 0, 1, 12);
    const clock = { now: () => now, monotonic: () => 0, schedule: () => () => {} };
    const later = new Date(now + 90_000).toUTCString();
    const error = await failureOf(refuse(429, { "retry-after": later }), { clock });
    assert.equal(error.details["retryAfterMs"], 90_000);
  });

  for (const [status, code, retryable] of [
    [500, "EMBEDDING_UNAVAILABLE", true],
    [503, "EMBEDDING_UNAVAILABLE", true],
    [400, "EMBEDDING_FAILED", false],
    [413, "EMBEDDING_FAILED", false],
    [401, "EMBEDDING_FAILED", false],
    [302, "EMBEDDING_FAILED", false],
    [404, "MODEL_NOT_FOUND", false],
  ] as const) {
    test(`status ${status} is ${code}`, async () => {
      const quoting = { error: { message: `bad input: ${text}, key ${secret}`, type: "bad_request" } };
      const error = await failureOf(refuse(status, { location: "http://127.0.0.1:9/" }, quoting));
      assert.equal(error.code, code);
      assert.equal(error.retryable, retryable);
      assert.equal(error.details["status"], status);
      assert.equal(error.details["reason"], "bad_request");
    });
  }

  test("a spent quota is no rate that passes", async () => {
    const error = await failureOf(refuse(429, {}, { error: { code: "insufficient_quota" } }));
    assert.equal(error.code, "EMBEDDING_FAILED");
  });

  test("an unknown code in its error is not repeated, for it may quote", async () => {
    const error = await failureOf(refuse(400, {}, { error: { code: `no such: ${text}` } }));
    assert.ok(!("reason" in error.details));
  });
});

suite("a service that breaks", () => {
  test("a connection lost in the middle of the answer may be tried again", async () => {
    const error = await failureOf((response) => {
      response.writeHead(200, { "content-length": "10000" });
      response.write('{"data":[');
      setImmediate(() => response.socket?.destroy());
    });
    assert.equal(error.code, "EMBEDDING_UNAVAILABLE");
  });

  test("nobody listening may be tried again", async () => {
    const { url } = await serve(asNumbers);
    const server = servers.pop()!;
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(openHttpModel({ url, model: "m" }), {
      code: "EMBEDDING_UNAVAILABLE",
      message: /ECONNREFUSED/,
    });
  });

  test("one that hangs is given up at the deadline", async () => {
    const error = await failureOf(() => {}, { timeoutMs: 20 });
    assert.equal(error.code, "EMBEDDING_TIMEOUT");
  });

  test("the caller's signal and close end the call on the wire", async () => {
    const hung = Promise.withResolvers<ServerResponse>();
    const { model } = await openAt((response) => hung.resolve(response));
    const stop = new AbortController();
    const call = model.doEmbed([text], { ...document, signal: stop.signal });
    const response = await hung.promise;
    const gone = new Promise((resolve) => response.once("close", resolve));
    stop.abort(new Error("enough"));
    await assert.rejects(call, /enough/);
    await gone;
    const other = model.doEmbed([text], document);
    model.close();
    await assert.rejects(other, { code: "CLOSED" });
    await assert.rejects(model.doEmbed([text], document), { code: "CLOSED" });
  });

  const one = { index: 0, embedding: [1, 2, 3] };
  for (const [what, reply] of Object.entries({
    "no JSON": `<html>${text}`,
    "no list": JSON.stringify({ embeddings: [] }),
    "too few": JSON.stringify({ data: [one] }),
    "two for one text": JSON.stringify({ data: [one, one] }),
    "an index out of range": JSON.stringify({ data: [one, { index: 2, embedding: [1, 2, 3] }] }),
    "no numbers": JSON.stringify({ data: [one, { index: 1, embedding: ["1"] }] }),
    "Base64 of half a number": JSON.stringify({ data: [one, { index: 1, embedding: "AAA=" }] }),
    "nothing in a place": JSON.stringify({ data: [one, null] }),
  })) {
    test(`an answer with ${what} is invalid`, async () => {
      const error = await failureOf((response) => {
        response.end(reply);
      });
      assert.equal(error.code, "EMBEDDING_INVALID");
    });
  }

  test("an answer that does not end is not kept in memory", async () => {
    const part = Buffer.alloc(1 << 20, " ");
    const error = await failureOf((response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(part));
        response.once("drain", more);
      };
      more();
    });
    assert.equal(error.code, "EMBEDDING_INVALID");
  });
});

suite("opening a model behind HTTP", () => {
  const good = { url: "http://127.0.0.1:9/v1", model: "m", dimensions: 3 };
  for (const [what, options] of Object.entries({
    "a url that is none": { ...good, url: "localhost" },
    "another protocol": { ...good, url: "ftp://localhost/v1" },
    "a key in the url": { ...good, url: `http://user:${secret}@localhost/v1` },
    "no model": { ...good, model: "" },
    "a batch of nothing": { ...good, maxBatchSize: 0 },
    "a deadline that is no number": { ...good, timeoutMs: Number.NaN },
    "shortening to an unknown length": { ...good, dimensions: undefined, shorten: true },
  })) {
    test(`${what} is refused`, async () => {
      await assert.rejects(openHttpModel(options), (error: StrataError) => {
        assert.equal(error.code, "INVALID_ARGUMENT");
        return !error.message.includes(secret);
      });
    });
  }

  test("a key that cannot be sent is refused without telling it", async () => {
    const error = await failureOf(asNumbers, { apiKey: `${secret}\n` });
    assert.equal(error.code, "INVALID_ARGUMENT");
  });

  test("the path may end in /embeddings, and the id names host and model", async () => {
    const { url, asked } = await serve(asNumbers);
    const model = await openHttpModel({ url: `${url}/embeddings`, model: "m" });
    assert.equal(asked[0]?.path, "/v1/embeddings");
    assert.equal(model.id, `http/${new URL(url).host}/m`);
    assert.equal((await openHttpModel({ ...good, id: "mine" })).id, "mine");
  });
});

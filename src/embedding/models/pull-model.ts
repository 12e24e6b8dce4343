import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StrataError } from "../../contract/errors.ts";
import {
  checkModelId,
  hashFile,
  hashMismatch,
  modelsFolder,
  readStoredModel,
  type StoredFile,
  type StoredModel,
  storedModelFile,
} from "./model-store.ts";
import { readOnnxFolder } from "./onnx-folder.ts";

export interface PullOptions {
  /** Name to store it under. Default: the hub's id, or the folder's name. */
  readonly id?: string | undefined;
  /** The graph to take. Default `onnx/model.onnx`; of a folder also the other usual names. */
  readonly graph?: string | undefined;
  /** Where models are stored. Default: {@link modelsFolder}. */
  readonly folder?: string | undefined;
  /** Branch, tag or commit of the hub's repository. Default "main". */
  readonly revision?: string | undefined;
  /** Base URL of a hub that speaks Hugging Face's protocol. */
  readonly hub?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((file: string, bytes: number, total: number) => void) | undefined;
}

/** A model brought, and whether it had to be. */
export interface PulledModel extends StoredModel {
  readonly folder: string;
}

const defaultHub = "https://huggingface.co";
const defaultGraph = "onnx/model.onnx";
/** Longest time without a byte. */
const stallMs = 30_000;
const sideFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "config.json",
  "config_sentence_transformers.json",
  "modules.json",
  "sentence_bert_config.json",
  "1_Pooling/config.json",
];

/** A file the hub lists; its hash is that of large file storage, else that of a git blob. */
interface HubFile {
  readonly path: string;
  readonly size: number;
  readonly oid: string;
  readonly lfs?: { readonly oid: string };
}

/**
 * Brings a model into the user's data folder: from a hub (`owner/name` or the URL of its page) or from a local folder.
 * Every file is checked against the hub's hash, or the folder's own `strata-model.json` where it has one; the model
 * appears whole or not at all.
 * @throws MODEL_NOT_FOUND Where hub, model or file cannot be reached; tells how to bring the files.
 * @throws CHECKSUM_MISMATCH, FILE_UNREADABLE, INVALID_ARGUMENT
 */
export async function pullModel(source: string, options: PullOptions = {}): Promise<PulledModel> {
  const local = existsSync(source) && statSync(source).isDirectory();
  const place = local ? undefined : hubPlace(source, options);
  const id = checkModelId(options.id ?? place?.id ?? basename(resolve(source)));
  const root = options.folder ?? modelsFolder();
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const draft = mkdtempSync(join(root, ".pull-"));
  try {
    const brought = place
      ? await bringFromHub(place, draft, options)
      : await bringFromFolder(source, draft, options);
    // What cannot be opened later is refused now.
    readOnnxFolder(draft, { graph: options.graph ?? brought.graph });
    const { revision } = brought;
    const model: StoredModel = {
      id,
      source: place ? `${place.hub}/${place.id}` : resolve(source),
      ...(revision !== undefined && { revision }),
      files: brought.files,
    };
    await writeFile(join(draft, storedModelFile), `${JSON.stringify(model, null, 2)}\n`);
    const folder = join(root, id);
    mkdirSync(dirname(folder), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
    return { ...model, folder };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

interface Brought {
  readonly files: readonly StoredFile[];
  readonly graph?: string;
  readonly revision?: string;
}

async function bringFromFolder(source: string, draft: string, options: PullOptions): Promise<Brought> {
  const { graph } = readOnnxFolder(source, { graph: options.graph });
  const stated = existsSync(join(source, storedModelFile)) ? readStoredModel(source).files : [];
  const files: StoredFile[] = [];
  for (const path of [...sideFiles, graph, `${graph}_data`, `${graph}.data`]) {
    if (!existsSync(join(source, path))) continue;
    options.signal?.throwIfAborted();
    mkdirSync(dirname(join(draft, path)), { recursive: true });
    await copyFile(join(source, path), join(draft, path));
    const found = await hashFile(join(draft, path));
    const expected = stated.find((file) => file.path === path)?.sha256 ?? found.sha256;
    if (expected !== found.sha256) throw hashMismatch(path, expected, found.sha256);
    options.onProgress?.(path, found.bytes, found.bytes);
    files.push({ path, ...found });
  }
  return { files, graph };
}

interface HubPlace {
  readonly hub: string;
  readonly id: string;
  readonly revision: string;
}

/** @throws MODEL_NOT_FOUND For what is neither a folder nor a name on a hub. */
function hubPlace(source: string, options: PullOptions): HubPlace {
  const revision = options.revision ?? "main";
  if (/^https?:\/\//.test(source)) {
    const { origin, pathname } = new URL(source);
    const [owner, name] = pathname.split("/").filter((part) => part !== "");
    if (owner !== undefined && name !== undefined)
      return { hub: options.hub ?? origin, id: `${owner}/${name}`, revision };
  } else if (/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(source)) {
    return { hub: (options.hub ?? defaultHub).replace(/\/+$/, ""), id: source, revision };
  }
  throw new StrataError(
    "MODEL_NOT_FOUND",
    "Expected a folder that exists, owner/name on a hub, or the URL of such a page.",
    { details: { argument: "source" } },
  );
}

async function bringFromHub(place: HubPlace, draft: string, options: PullOptions): Promise<Brought> {
  const { hub, id } = place;
  const info = (await readJsonReply(
    place,
    `${hub}/api/models/${id}/revision/${place.revision}`,
    options,
  )) as {
    readonly sha?: unknown;
  };
  const revision = typeof info.sha === "string" ? info.sha : place.revision;
  const tree = await readJsonReply(place, `${hub}/api/models/${id}/tree/${revision}?recursive=true`, options);
  const listed = new Map((tree as HubFile[]).map((file) => [file.path, file]));
  const graph = options.graph ?? defaultGraph;
  if (!listed.has(graph)) throw graphMissing(graph, [...listed.keys()]);
  const wanted = [...sideFiles, graph, `${graph}_data`, `${graph}.data`].flatMap(
    (path) => listed.get(path) ?? [],
  );
  const files: StoredFile[] = [];
  for (const file of wanted) {
    const url = `${hub}/${id}/resolve/${revision}/${file.path}`;
    files.push(await download(place, url, file, draft, options));
  }
  return { files, graph, revision };
}

async function download(
  place: HubPlace,
  url: string,
  file: HubFile,
  draft: string,
  options: PullOptions,
): Promise<StoredFile> {
  const sha256 = createHash("sha256");
  const blob = createHash("sha1").update(`blob ${file.size}\0`);
  let bytes = 0;
  const reply = await request(place, url, options);
  const path = join(draft, file.path);
  mkdirSync(dirname(path), { recursive: true });
  const check = new Transform({
    transform(slice: Uint8Array, _encoding, done) {
      bytes += slice.length;
      sha256.update(slice);
      blob.update(slice);
      options.onProgress?.(file.path, bytes, file.size);
      reply.alive();
      done(bytes > file.size ? sizeMismatch(file, bytes) : null, slice);
    },
  });
  try {
    await pipeline(Readable.fromWeb(reply.body as never), check, createWriteStream(path), {
      signal: reply.signal,
    });
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw StrataError.isInstance(cause) ? cause : unreachable(place, cause);
  } finally {
    reply.done();
  }
  if (bytes !== file.size) throw sizeMismatch(file, bytes);
  const digest = sha256.digest("hex");
  const [expected, found] = file.lfs ? [file.lfs.oid, digest] : [file.oid, blob.digest("hex")];
  if (expected !== found) throw hashMismatch(file.path, expected, found);
  return { path: file.path, bytes, sha256: digest };
}

async function readJsonReply(place: HubPlace, url: string, options: PullOptions): Promise<unknown> {
  const reply = await request(place, url, options);
  try {
    return await new Response(reply.body).json();
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw unreachable(place, cause);
  } finally {
    reply.done();
  }
}

/** An answer that is given up when no byte came for a while. */
interface Reply {
  readonly body: ReadableStream;
  readonly signal: AbortSignal;
  alive(): void;
  done(): void;
}

async function request(place: HubPlace, url: string, options: PullOptions): Promise<Reply> {
  const stall = new AbortController();
  const timer = setTimeout(
    () => stall.abort(new Error(`no byte came for ${stallMs / 1_000} seconds`)),
    stallMs,
  );
  const signal = options.signal ? AbortSignal.any([stall.signal, options.signal]) : stall.signal;
  const done = (): void => clearTimeout(timer);
  try {
    const response = await fetch(url, { signal });
    if (response.ok && response.body) {
      return { body: response.body, signal, alive: () => void timer.refresh(), done };
    }
    await response.body?.cancel();
    throw new Error(`HTTP status ${response.status}`);
  } catch (cause) {
    done();
    options.signal?.throwIfAborted();
    throw unreachable(place, cause);
  }
}

function unreachable({ hub, id, revision }: HubPlace, cause: unknown): StrataError {
  const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause : cause).message : "";
  return new StrataError(
    "MODEL_NOT_FOUND",
    `Expected the model ${id} (${revision}) at ${hub}, which did not give it: ${why}. Where this machine reaches no hub, download ${sideFiles.join(", ")} and ${defaultGraph} of the model on one that does, keep the folders, bring them here and run: strata model pull FOLDER --id ${id}`,
    { cause, details: { hub, id } },
  );
}

function graphMissing(graph: string, paths: readonly string[]): StrataError {
  const graphs = paths.filter((path) => path.endsWith(".onnx"));
  return new StrataError(
    "MODEL_NOT_FOUND",
    `Expected the graph ${graph} in the model, which has ${graphs.join(", ") || "no ONNX graph; export one with optimum or sentence-transformers"}.${graphs.length > 0 ? " Name one with --graph." : ""}`,
    { details: { file: graph } },
  );
}

function sizeMismatch(file: HubFile, bytes: number): StrataError {
  return hashMismatch(file.path, `and ${file.size} bytes`, `${bytes} bytes`);
}

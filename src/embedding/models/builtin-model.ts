import type { EmbeddingModel, EmbeddingReply } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";
import type { PieceVectors } from "../../contract/piece-vectors.ts";
import { WordPieceTokenizer } from "../word-piece-tokenizer.ts";
import { WordPieceVocabulary } from "../word-piece-vocabulary.ts";
import {
  type ModelFile,
  type ModelManifest,
  openModelFile,
  readManifest,
  readModelFile,
  shippedModelFolder,
} from "./model-files.ts";
import { StaticTable, TableMemory } from "./static-table.ts";

// 64 chunks of 512 pieces take some 10 ms of the event loop; a greater batch would save nothing.
const maxBatchSize = 64;

export interface BuiltinModelOptions {
  /** Folder with another model of the same making: manifest.json, table, vocabulary. Default: the shipped one. */
  readonly folder?: string | undefined;
  /**
   * Read of the table only the rows that are used, each on the spot, and check no checksum: for a process that asks a
   * question and ends. Default false.
   */
  readonly someRows?: boolean | undefined;
}

/**
 * Opens the static embedding model that comes with the package: English, 256 dimensions, no network, no native code.
 * @throws MODEL_NOT_FOUND, CHECKSUM_MISMATCH, FILE_UNREADABLE
 */
export async function openBuiltinModel(options: BuiltinModelOptions = {}): Promise<BuiltinModel> {
  const folder = options.folder ?? shippedModelFolder();
  const manifest = readManifest(folder);
  if (options.someRows === true) return openSomeRows(folder, manifest);
  const [table, vocabulary] = await Promise.all([
    readTable(folder, manifest.table),
    readModelFile(folder, manifest.vocabulary).then((bytes) => new WordPieceVocabulary(bytes)),
  ]);
  return modelOf(manifest, table, vocabulary);
}

async function readTable(folder: string, file: ModelFile): Promise<StaticTable> {
  const memory = new TableMemory(file.bytes);
  await readModelFile(folder, file, memory.file);
  return new StaticTable(memory);
}

/** Reads 1 MB where the whole model takes 8.4, and computes no checksum of it: 5 ms of a start. */
function openSomeRows(folder: string, manifest: ModelManifest): BuiltinModel {
  const words = openModelFile(folder, manifest.vocabulary);
  const bytes = new Uint8Array(words.bytes);
  try {
    words.read(bytes, 0);
  } finally {
    words.close();
  }
  const rows = openModelFile(folder, manifest.table);
  try {
    const table = new StaticTable(new TableMemory(rows.bytes), rows.read);
    return modelOf(manifest, table, new WordPieceVocabulary(bytes), rows.close);
  } catch (error) {
    rows.close();
    throw error;
  }
}

function modelOf(
  manifest: ModelManifest,
  table: StaticTable,
  vocabulary: WordPieceVocabulary,
  close?: () => void,
): BuiltinModel {
  if (table.size !== vocabulary.size)
    throw new StrataError(
      "FILE_UNREADABLE",
      `Expected a row for each of the vocabulary's ${vocabulary.size} pieces, got ${table.size} rows.`,
    );
  const tokenizer = new WordPieceTokenizer(`word-piece@${manifest.vocabulary.crc32}`, vocabulary);
  return new BuiltinModel(`builtin/${manifest.name}@${manifest.table.crc32}`, tokenizer, table, close);
}

/**
 * A text's vector is the direction of the sum of its word pieces' rows.
 *
 * Answers at once, on the event loop: about half a microsecond a piece. That is nothing for a memory or a chunk; a
 * caller with megabytes in one text cuts them first.
 */
export class BuiltinModel implements EmbeddingModel {
  /** Ends in the table's checksum: other weights, other id. */
  readonly id: string;
  readonly dimensions: number;
  readonly maxBatchSize: number = maxBatchSize;
  readonly cheap: boolean = true;
  /** Counts and encodes as the model reads. */
  readonly tokenizer: WordPieceTokenizer;
  /** The rows of single pieces. */
  readonly table: StaticTable;

  readonly #close: (() => void) | undefined;

  constructor(id: string, tokenizer: WordPieceTokenizer, table: StaticTable, close?: () => void) {
    this.id = id;
    this.dimensions = table.dimensions;
    this.tokenizer = tokenizer;
    this.table = table;
    this.#close = close;
  }

  /** Lets go of the table's file, where only some of it was read. Idempotent. */
  close(): void {
    this.#close?.();
  }

  /** Its word pieces and their rows, for comparing texts piece by piece. */
  get pieces(): PieceVectors {
    return {
      id: this.id,
      size: this.table.size,
      dimensions: this.dimensions,
      piecesOf: (text) => this.tokenizer.encodeShared(text),
      leadingRow: (piece, into) => this.table.leadingRow(piece, into),
    };
  }

  countTokens(text: string): number {
    return this.tokenizer.count(text);
  }

  /** A text of which no piece is known gets null, and an empty one counts as wholly unknown. */
  doEmbed(texts: readonly string[]): EmbeddingReply {
    const vectors: (Float32Array | null)[] = [];
    const unknownShares: number[] = [];
    let tokens = 0;
    for (const text of texts) {
      const pieces = this.tokenizer.encodeShared(text);
      vectors.push(this.table.direction(pieces));
      unknownShares.push(this.#unknownShare(pieces));
      tokens += pieces.length;
    }
    return { vectors, unknownShares, tokens };
  }

  #unknownShare(pieces: Int32Array): number {
    if (pieces.length === 0) return 1;
    let unknown = 0;
    for (const piece of pieces) if (piece === this.tokenizer.unknownId) unknown++;
    return unknown / pieces.length;
  }
}

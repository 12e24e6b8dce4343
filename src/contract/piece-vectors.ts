/** Port of a table of word pieces and their directions, by which two texts are compared piece by piece. */
export interface PieceVectors {
  /** Names vocabulary and weights. */
  readonly id: string;
  /** Pieces it knows; ids are below it. */
  readonly size: number;
  readonly dimensions: number;
  /** Ids of a text's pieces, in order; the caller owns them. */
  piecesOf(text: string): Int32Array;
  /** `Float32Array[dimensions]` of unit length; null for a piece that says nothing, the unknown one among them. */
  unitRow(piece: number): Float32Array | null;
}

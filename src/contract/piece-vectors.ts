/** Port of a table of word pieces and their directions, by which two texts are compared piece by piece. */
export interface PieceVectors {
  /** Names vocabulary and weights. */
  readonly id: string;
  /** Pieces it knows; ids are below it. */
  readonly size: number;
  readonly dimensions: number;
  /** Ids of a text's pieces, in order; the caller's until the next call. */
  piecesOf(text: string): Int32Array;
  /**
   * Writes the leading values of a piece's row, at most as many as it has, brought to unit length; false, and nothing
   * written, for a piece that says nothing, the unknown one among them.
   */
  leadingRow(piece: number, into: Float32Array): boolean;
}

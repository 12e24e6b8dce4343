/** Where a command writes. */
export interface Sink {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  /** False when the caller should wait for "drain". */
  write(text: string): boolean;
  once(event: "drain", listener: () => void): unknown;
}

/** Everything a command touches outside itself, so that a test can stand in for the terminal. */
export interface Io {
  /** Results, and nothing else. */
  readonly stdout: Sink;
  /** Progress, notes, warnings and errors. */
  readonly stderr: Sink;
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean | undefined };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
}

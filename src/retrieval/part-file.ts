/** A file that no other process can reach, gone when it is closed: what it holds is as safe as memory. */
export interface PartFile {
  /** @throws When the file cannot be read or has not so many bytes. */
  read(into: Uint8Array, at: number): Promise<void>;
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Idempotent; ends after what is under way. */
  close(): Promise<void>;
}

/** Where postings go that memory has no room for. */
export interface PostingFiles {
  readonly open: () => Promise<PartFile>;
  /** Bytes of what was read that are kept for the next question. */
  readonly cacheBytes: number;
}

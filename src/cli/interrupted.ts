/** Why a command was aborted: the user or the system asked it to end. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  /** @param exitCode 128 and the number of the signal. */
  constructor(exitCode: number) {
    super("interrupted");
    this.exitCode = exitCode;
  }
}

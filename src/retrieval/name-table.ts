/** Numbers from 1 for names, and how many memories carry each. */
export class NameTable {
  readonly #names: string[];
  readonly #uses: number[];
  #numbers: Map<string, number> | undefined;

  constructor(names: readonly string[] = [], uses: readonly number[] = []) {
    this.#names = [...names];
    this.#uses = [...uses];
  }

  get names(): readonly string[] {
    return this.#names;
  }

  get uses(): readonly number[] {
    return this.#uses;
  }

  /** The names by their numbers from 1; one that no memory carries any more is left out, as "". */
  get written(): readonly string[] {
    return this.#names.map((name, index) => (this.#uses[index]! > 0 ? name : ""));
  }

  /** Names that some memory carries. */
  get used(): readonly string[] {
    return this.#names.filter((_, index) => this.#uses[index]! > 0);
  }

  name(number: number): string | undefined {
    return this.#names[number - 1];
  }

  /** Number of a name; -1 when it has none. */
  numberOf(name: string): number {
    return this.#byName().get(name) ?? -1;
  }

  /** One more use of a name. @returns Its number; 0 for no name. */
  take(name: string | undefined): number {
    if (name === undefined) return 0;
    const numbers = this.#byName();
    let number = numbers.get(name);
    if (number === undefined) {
      number = this.#names.push(name);
      this.#uses.push(0);
      numbers.set(name, number);
    }
    this.#uses[number - 1]!++;
    return number;
  }

  drop(number: number): void {
    if (number > 0) this.#uses[number - 1]!--;
  }

  #byName(): Map<string, number> {
    this.#numbers ??= new Map(
      this.#names.flatMap((known, index) => (this.#uses[index]! > 0 ? [[known, index + 1]] : [])),
    );
    return this.#numbers;
  }
}

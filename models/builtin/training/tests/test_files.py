import json
import tempfile
import unittest
import zlib
from pathlib import Path

import numpy as np

from static_model.evaluate import area_under_curve, ndcg
from static_model.make import Work, read_corpus
from static_model.table import quantize, read_model, read_table, write_model
from static_model.teacher import WrongTeacher, batches_by_length, teacher_folder
from static_model.vocabulary import fnv1a, read_pieces, vocabulary_file

SHIPPED = Path(__file__).resolve().parents[2]


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)


class ModelFilesTest(FolderTest):
    def test_rows_come_back_within_half_a_step(self) -> None:
        rows = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
        rows[1] = 0
        (self.folder / "in.txt").write_bytes(b"a\n##b\n[UNK]\n")
        write_model(self.folder / "out", "tiny", rows, self.folder / "in.txt")
        back = read_model(self.folder / "out")
        steps = np.abs(rows).max(axis=1, keepdims=True) / 127
        self.assertTrue((np.abs(back - rows) <= steps / 2 + 1e-7).all())

    def test_the_manifest_tells_size_and_checksum_of_each_file(self) -> None:
        (self.folder / "in.txt").write_bytes(b"a\n##b")
        write_model(self.folder, "tiny", np.ones((2, 5), np.float32), self.folder / "in.txt")
        manifest = json.loads((self.folder / "manifest.json").read_text())
        for part in ("table", "vocabulary"):
            content = (self.folder / manifest[part]["file"]).read_bytes()
            self.assertEqual(manifest[part]["bytes"], len(content))
            self.assertEqual(manifest[part]["crc32"], f"{zlib.crc32(content):08x}")
        self.assertEqual((self.folder / "vocab.txt").read_bytes(), b"a\n##b\n")

    def test_the_greatest_weight_of_a_row_becomes_127(self) -> None:
        integers, scales = quantize(np.array([[0.5, -2, 1], [0, 0, 0]], np.float32))
        np.testing.assert_array_equal(integers, [[32, -127, 64], [0, 0, 0]])
        np.testing.assert_allclose(scales, [2 / 127, 1])

    def test_other_bytes_are_no_table(self) -> None:
        path = self.folder / "table.bin"
        for content in (b"", b"x" * 40, (SHIPPED / "static-minilm-256.bin").read_bytes()[:-1]):
            path.write_bytes(content)
            self.assertRaises(ValueError, read_table, path)

    def test_the_shipped_vocabulary_is_made_from_its_text(self) -> None:
        made = vocabulary_file(read_pieces(SHIPPED / "vocab.txt"))
        self.assertEqual(made, (SHIPPED / "vocab.bin").read_bytes())

    def test_the_hash_is_the_published_one(self) -> None:
        self.assertEqual(fnv1a(b""), 0x811C9DC5)
        self.assertEqual(fnv1a(b"a"), 0xE40C292C)
        self.assertEqual(fnv1a(b"foobar"), 0xBF9CF968)

    def test_a_vocabulary_too_large_for_its_slots_is_refused(self) -> None:
        self.assertRaises(ValueError, vocabulary_file, [])
        self.assertRaises(ValueError, vocabulary_file, [b"x"] * 0xFFFF)


class WorkTest(FolderTest):
    def test_what_is_made_is_not_made_again(self) -> None:
        work = Work(self.folder, {"corpus": "a"})
        work.made("file", lambda path: path.write_text("first"))
        work.made("file", lambda path: path.write_text("second"))
        self.assertEqual((self.folder / "file").read_text(), "first")

    def test_an_interrupted_stage_leaves_no_file(self) -> None:
        work = Work(self.folder, {"corpus": "a"})

        def interrupted(path: Path) -> None:
            path.write_text("half")
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, work.made, "file", interrupted)
        self.assertFalse((self.folder / "file").exists())

    def test_work_on_another_corpus_is_refused(self) -> None:
        Work(self.folder, {"corpus": "a"})
        Work(self.folder, {"corpus": "a"})
        self.assertRaises(SystemExit, Work, self.folder, {"corpus": "b"})

    def test_a_corpus_is_read_plain(self) -> None:
        path = self.folder / "corpus.jsonl"
        path.write_text('{"source":"made","text":"tea"}\n{"source":"made","text":"caf\\u00e9"}\n', encoding="utf-8")
        self.assertEqual(read_corpus(path), ["tea", "café"])

    def test_a_teacher_of_other_weights_is_refused(self) -> None:
        self.assertRaises(WrongTeacher, teacher_folder, self.folder)
        (self.folder / "model.safetensors").write_bytes(b"other")
        self.assertRaises(WrongTeacher, teacher_folder, self.folder)


class BatchTest(unittest.TestCase):
    def test_every_text_is_in_one_batch_within_the_budget(self) -> None:
        lengths = [int(n) for n in np.random.default_rng(0).integers(1, 70, 500)]
        batches = list(batches_by_length(lengths, 200))
        self.assertEqual(sorted(i for batch in batches for i in batch), list(range(500)))
        self.assertTrue(all(len(batch) * max(lengths[i] for i in batch) <= 200 for batch in batches))

    def test_a_text_over_the_budget_has_a_batch_of_its_own(self) -> None:
        self.assertEqual(list(batches_by_length([900, 1], 200)), [[1], [0]])


class MeasureTest(unittest.TestCase):
    def test_area_under_the_curve_counts_ties_half(self) -> None:
        labels = np.array([1, 1, 0, 0])
        self.assertEqual(area_under_curve(np.array([0.9, 0.8, 0.2, 0.1]), labels), 1)
        self.assertEqual(area_under_curve(np.array([0.5, 0.5, 0.5, 0.5]), labels), 0.5)
        self.assertEqual(area_under_curve(np.array([0.9, 0.1, 0.5, 0.3]), labels), 0.5)

    def test_ndcg_is_one_for_the_best_order_and_less_below(self) -> None:
        gains = {"a": 3.0, "b": 1.0}
        self.assertAlmostEqual(ndcg(["a", "b", "c"], gains), 1)
        self.assertAlmostEqual(ndcg(["b", "a"], gains), (1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))
        self.assertEqual(ndcg(["c"] * 10 + ["a"], gains), 0)


if __name__ == "__main__":
    unittest.main()

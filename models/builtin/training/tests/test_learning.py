import unittest

import numpy as np
import scipy.sparse as sparse

from static_model.learning import Training, blend, cosine_gradient, initial_rows, mean_cosine, rate_at, train
from static_model.linear import principal_axes, unit_rows
from static_model.pieces import SPECIAL, count_matrix, frequencies

SIZE = 120


def made_up_task(seed: int = 0, texts: int = 400) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Texts of pieces whose true rows are known to the teacher alone."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(SIZE, 8)).astype(np.float32)
    usual = np.setdiff1d(np.arange(SIZE), SPECIAL)
    counts = count_matrix([list(generator.choice(usual, generator.integers(1, 6))) for _ in range(texts)], SIZE)
    return counts, unit_rows(counts @ truth)


class TrainTest(unittest.TestCase):
    def test_rows_learn_what_the_teacher_says_and_unseen_texts_gain_from_it(self) -> None:
        counts, targets = made_up_task()
        start = np.random.default_rng(1).normal(size=(SIZE, 8)).astype(np.float32)
        rows = train(start, counts[:350], targets[:350], Training(epochs=60, batch=50, rate=5e-2))
        self.assertLess(mean_cosine(start, counts[350:], targets[350:]), 0.3)
        self.assertGreater(mean_cosine(rows, counts[350:], targets[350:]), 0.9)

    def test_the_same_seed_gives_the_same_rows(self) -> None:
        counts, targets = made_up_task()
        start = np.ones((SIZE, 8), np.float32)
        first, second = (train(start, counts, targets, Training(epochs=2, batch=64)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        other = train(start, counts, targets, Training(epochs=2, batch=64, seed=2))
        self.assertFalse(np.array_equal(first, other))

    def test_pieces_of_no_text_stay_and_the_start_is_not_changed(self) -> None:
        counts, targets = made_up_task()
        start = np.ones((SIZE, 8), np.float32)
        rows = train(start, counts, targets, Training(epochs=1, batch=64))
        np.testing.assert_array_equal(rows[SPECIAL], start[SPECIAL])
        self.assertTrue((start == 1).all())

    def test_a_text_without_a_piece_is_passed_over(self) -> None:
        counts = count_matrix([[1, 2], [], [3]], SIZE)
        targets = unit_rows(np.eye(3, 8, dtype=np.float32))
        rows = train(np.ones((SIZE, 8), np.float32), counts, targets, Training(epochs=3, batch=2))
        self.assertTrue(np.isfinite(rows).all())

    def test_the_gradient_is_that_of_the_cosine(self) -> None:
        generator = np.random.default_rng(0)
        sums = generator.normal(size=(3, 4))
        targets = unit_rows(generator.normal(size=(3, 4)))

        def loss(values: np.ndarray) -> float:
            return -cosine_gradient(values, targets)[1]

        gradient, _ = cosine_gradient(sums, targets)
        for place in np.ndindex(sums.shape):
            nudge = np.zeros_like(sums)
            nudge[place] = 1e-6
            slope = (loss(sums + nudge) - loss(sums - nudge)) / 2e-6
            self.assertAlmostEqual(slope, gradient[place], places=7)

    def test_the_rate_rises_then_falls_to_its_last_share(self) -> None:
        training = Training(rate=1.0, warm_up=10, last_rate_share=0.1)
        rates = [rate_at(step, 100, training) for step in range(1, 101)]
        self.assertEqual(rates, sorted(rates[:10]) + sorted(rates[10:], reverse=True))
        self.assertAlmostEqual(rates[-1], 0.1)


class StartAndBlendTest(unittest.TestCase):
    def setUp(self) -> None:
        generator = np.random.default_rng(3)
        self.states = generator.normal(size=(SIZE, 16)).astype(np.float32)
        self.rows = generator.normal(size=(SIZE, 8)).astype(np.float32)
        self.axes, _ = principal_axes(self.states, 8)
        self.frequency = frequencies(count_matrix([[7] * 50, [8]], SIZE))

    def test_frequent_pieces_start_short_and_special_ones_at_nothing(self) -> None:
        rows = initial_rows(self.states, self.axes, self.frequency)
        lengths = np.linalg.norm(rows, axis=1)
        self.assertLess(lengths[7], lengths[8] / 5)
        self.assertTrue((rows[SPECIAL] == 0).all())

    def test_a_blend_adds_as_much_energy_as_was_there(self) -> None:
        blended = blend(self.rows, self.states, self.axes, self.frequency, gamma=1)
        usual = np.setdiff1d(np.arange(SIZE), SPECIAL)
        added = np.square(blended[usual] - self.rows[usual]).sum(axis=1)
        energy = np.square(self.rows).sum(axis=1)
        self.assertAlmostEqual(
            float((self.frequency[usual] * added).sum() / (self.frequency * energy).sum()), 1, delta=0.1
        )
        self.assertTrue((blended[SPECIAL] == 0).all())

    def test_a_blend_of_nothing_leaves_the_rows(self) -> None:
        blended = blend(self.rows, self.states, self.axes, self.frequency, gamma=0)
        usual = np.setdiff1d(np.arange(SIZE), SPECIAL)
        np.testing.assert_array_equal(blended[usual], self.rows[usual])


class LinearTest(unittest.TestCase):
    def test_principal_axes_keep_what_lies_in_them(self) -> None:
        generator = np.random.default_rng(0)
        vectors = (generator.normal(size=(50, 2)) @ generator.normal(size=(2, 6))).astype(np.float32)
        axes, energy = principal_axes(vectors, 2)
        self.assertAlmostEqual(energy, 1, places=5)
        np.testing.assert_allclose(vectors @ axes @ axes.T, vectors, atol=1e-4)
        np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-5)

    def test_axes_have_the_same_signs_however_the_solver_turns_them(self) -> None:
        vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
        axes, _ = principal_axes(vectors, 3)
        self.assertTrue((axes[np.abs(axes).argmax(axis=0), np.arange(3)] > 0).all())

    def test_rows_of_zeros_stay(self) -> None:
        np.testing.assert_array_equal(unit_rows(np.array([[3.0, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])

    def test_counts_add_up(self) -> None:
        counts = count_matrix([[1, 1, 2], [], [0]], 4)
        np.testing.assert_array_equal(counts.toarray(), [[0, 2, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
        self.assertAlmostEqual(float(frequencies(counts).sum()), 1)


if __name__ == "__main__":
    unittest.main()

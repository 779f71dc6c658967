"""Arrays on disk: as numpy lays blocks end to end, without a file that anyone sees, and one sentence for a full disk."""

import numpy as np
import pytest

from otlib.errors import InputError
from otlib.files import on_disk
from tests.fixtures.full_disk import full_disk


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_blocks_are_laid_end_to_end(shape, tmp_path):
    blocks = [np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32) for count in (0, 5, 1, 1000)]
    array = on_disk(iter(blocks), tmp_path)
    assert type(array) is np.ndarray and array.dtype == np.float32
    np.testing.assert_array_equal(array, np.concatenate(blocks))
    array /= 2  # it may be written to
    np.testing.assert_array_equal(array[5:], np.concatenate(blocks)[5:] / 2)
    assert not list(tmp_path.iterdir())


def test_nothing_is_an_array_too(tmp_path):
    assert on_disk([np.zeros((0, 2), np.int16)], tmp_path).shape == (0, 2)


def test_a_columns_stride_does_not_matter(tmp_path):
    table = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(on_disk([table[:, 1]], tmp_path), table[:, 1])


def test_a_folder_that_cannot_hold_it_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"none: cannot be written \(No such file or directory\); free some space"):
        on_disk([np.zeros(3)], tmp_path / "none")
    with full_disk(1000), pytest.raises(InputError, match="cannot be written .*; free some space"):
        on_disk([np.zeros(1000)], tmp_path)
    assert not list(tmp_path.iterdir())

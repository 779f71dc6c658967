"""Lists of vertices: read sorted and once each, or refused by the number that no vertex has, however large."""

import numpy as np
import pytest

from data_prep.raw.region_files import read_indices
from otlib.errors import InputError


@pytest.mark.parametrize("text, first, read", [("3, 1 1", 0, [1, 3]), ("[5\n1]", 1, [0, 4]), ("0;4", 0, [0, 4])])
def test_a_list_is_sorted_and_counted_from_0(tmp_path, text, first, read):
    (tmp_path / "lips.txt").write_text(text)
    assert read_indices(tmp_path / "lips.txt", 5, first).tolist() == read


@pytest.mark.parametrize("text, first, wrong", [("1e300", 0, "1e+300"), (str(2**63), 0, "9.22337203685478e+18"),
                                                ("5", 0, "5"), ("-1 2", 0, "-1"), ("0 1", 1, "0"), ("6", 1, "6")])
def test_a_number_that_no_vertex_has_is_named(tmp_path, text, first, wrong):
    (tmp_path / "lips.txt").write_text(text)
    with pytest.raises(InputError) as refused:
        read_indices(tmp_path / "lips.txt", 5, first)
    assert f"lips.txt: names vertex {wrong} (counted from {first}), there are 5" in str(refused.value)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (3, 1, 1), (1,) * 40])
def test_an_array_that_is_no_list_is_refused_with_its_shape(tmp_path, shape):
    np.save(tmp_path / "lips.npy", np.ones(shape, int))
    with pytest.raises(InputError) as refused:
        read_indices(tmp_path / "lips.npy", 5)
    assert f"lips.npy: has shape {shape}, expected a list of vertices, (N,)" in str(refused.value)


def test_an_array_is_read_as_a_text_is(tmp_path):
    np.save(tmp_path / "lips.npy", np.array([3.0, 1.0, 1.0]))
    assert read_indices(tmp_path / "lips.npy", 5).tolist() == [1, 3]

"""The quoted numbers: the file is whole, says how sure each is, and its rows stand in their tables' units."""

import copy
import dataclasses
import inspect
import json

import pytest

from notebooks.experiments.quoted import HERE, read_quoted
from otlib.errors import InputError
from otlib.losses import LossSettings
from otlib.meshes.graph import scaled_laplacian
from otlib.models.ottalk import ModelSettings
from otlib.train.settings import TrainSettings
from tests.conftest import ROOT

FILE = ROOT / "results" / "paper" / "quoted.json"


@pytest.fixture(scope="module")
def quoted():
    return read_quoted(FILE)


def rows(table):
    return {row.system: row for row in table.rows}


def test_every_number_is_positive_and_explained(quoted):
    for table in quoted.tables.values():
        for row in table.rows:
            assert all(value is None or 0 < value < 10 for value in row.values.values()), row
            assert (row.mark == "NF") == all(value is None for value in row.values.values()), row
    for system in quoted.systems:
        assert system["mark"] in quoted.marks and system["source"] in quoted.sources
    assert all(fact["mark"] in quoted.marks for fact in quoted.ot_talk["stated"])


def test_columns_are_those_that_this_project_computes_and_say_their_unit(quoted):
    for table in quoted.tables.values():
        assert table.data_set in ("biwi", "vocaset")
        for metric in table.metrics:
            assert metric.name in ("lve", "fdd") and metric.squared and metric.unit and metric.formula
            assert metric.better in ("lower", "nearer to zero")


def test_no_system_stands_twice_in_a_table(quoted):
    for table in quoted.tables.values():
        assert len(rows(table)) == len(table.rows), table.title


def test_tables_that_quote_the_same_result_agree(quoted):
    main = rows(quoted.tables["biwi_test_a"])
    assert rows(quoted.tables["selftalk_ablation"])["SelfTalk"].values == main["SelfTalk"].values
    assert rows(quoted.tables["kmtalk_ablation"])["KMTalk"].values == main["KMTalk"].values
    assert rows(quoted.tables["kmtalk_recognisers"])["KMTalk"].values["lve"] == main["KMTalk"].values["lve"]
    for system in ("FaceFormer", "CodeTalker", "SelfTalk"):
        assert rows(quoted.tables["kmtalk_plugin"])[system].values["lve"] == main[system].values["lve"]
    # KMTalk without key motions is SelfTalk's animator: the same numbers
    assert rows(quoted.tables["kmtalk_ablation"])["KMTalk, no key motions"].values == main["SelfTalk"].values


def test_numbers_as_they_are_printed(quoted):
    main = rows(quoted.tables["biwi_test_a"])
    assert main["CodeTalker"].values == {"lve": 4.7914, "fdd": 4.1170} and main["CodeTalker"].mark == "Q"
    assert main["UniTalker-L"].values == {"lve": 3.8587, "fdd": None} and main["UniTalker-L"].mark == "S"
    assert main["OT-Talk"].values == {"lve": None, "fdd": None} and main["OT-Talk"].mark == "NF"
    lip = quoted.tables["vocaset_test"].metrics[0]
    assert (lip.factor, lip.unit, lip.heading) == (1e-5, "square metre", "LVE (10⁻⁵)")
    assert 1e3 * (4.1090 * lip.factor) ** 0.5 == pytest.approx(6.4, abs=0.05)  # FaceFormer on VOCASET, mm: a mouth's size


def test_a_measured_row_is_brought_to_the_table_s_scale(quoted):
    table = quoted.tables["biwi_test_a"].with_measured("OT-Talk, open", {"lve": 4.5e-4, "fdd": -3e-5, "mve": 1.0})
    row = table.rows[-1]
    assert row.values == pytest.approx({"lve": 4.5, "fdd": -3.0}) and row.mark == HERE
    assert table.markdown().splitlines()[-1] == "| OT-Talk, open | 4.5000 | -3.0000 | here |"
    assert "| UniTalker-L | 3.8587 | – | S |" in table._repr_markdown_()
    with pytest.raises(ValueError, match="fdd cannot stand"):
        quoted.tables["biwi_test_a"].with_measured("mine", {"lve": 1.0})
    with pytest.raises(ValueError, match="no factor"):
        quoted.tables["scantalk_encoders"].with_measured("mine", {"lve": 1.0})


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda c: c.pop("marks"), "not a file of quoted numbers"),
    (lambda c: c["tables"]["vocaset_test"]["rows"][0].update(mark="?"), r"VOCA in vocaset_test has mark '\?'"),
    (lambda c: c["tables"]["vocaset_test"]["rows"][0].update(source="hearsay"), "source 'hearsay'"),
    (lambda c: c["tables"]["vocaset_test"]["rows"][0].update(extra=1), "not a file of quoted numbers"),
    (lambda c: c["tables"]["biwi_test_a"]["rows"][0]["values"].pop("fdd"), "VOCA in biwi_test_a has values for lve"),
])
def test_a_spoilt_file_is_refused(tmp_path, spoil, message):
    content = copy.deepcopy(json.loads(FILE.read_text(encoding="utf-8")))
    spoil(content)
    file = tmp_path / "quoted.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_quoted(file)


def test_every_open_point_has_a_choice_and_switches_that_exist():
    choices = json.loads((ROOT / "results" / "paper" / "choices.json").read_text(encoding="utf-8"))
    switches = {f"{owner.__name__}.{field.name}" for owner in (ModelSettings, LossSettings, TrainSettings)
                for field in dataclasses.fields(owner)}
    switches |= {f"scaled_laplacian.{name}" for name in inspect.signature(scaled_laplacian).parameters}
    for row in choices:
        assert all(row[key] for key in ("part", "stated", "choice", "why"))
        assert set(row["switches"]) <= switches, row["part"]
    assert len({row["part"] for row in choices}) == len(choices)

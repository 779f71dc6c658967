"""What belongs together in a folder of tables and sounds."""

import os

import pytest

from data_prep.arkit.folder import look_through


def made(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def test_takes_are_named_as_everywhere(tmp_path):
    found = look_through(made(tmp_path, "ann_01.csv", "ann_01.wav", "ann_02.JSON", "Ann_02.MP3", "ben_03.csv", "ben_03.mov"))
    assert not found.problems and not found.incomplete
    assert [(take.name, take.row.subject, take.row.sentence, take.row.split, take.sound.suffix) for take in found.takes] == [
        ("ann_01", "ann", "01", "train", ".wav"), ("ann_02", "ann", "02", "val", ".MP3"),
        ("ben_03", "ben", "03", "test", ".mov")]


def test_the_apps_folders_lie_in_a_folder_of_their_speaker(tmp_path):
    take = "ann/20260131_MySlate_4"
    found = look_through(made(
        tmp_path, *(f"{take}/{name}" for name in ("MySlate_4_phone.csv", "MySlate_4_phone.mov", "frame_log.csv", "take.json",
                                                  "video_metadata.json", "audio_metadata.json", "thumbnail.jpg")),
        "ann/said_01.json", "ann/said_01.wav", ".hidden/a.csv"))
    assert not found.problems and not found.incomplete
    assert [(one.name, one.row.subject, one.row.sentence) for one in found.takes] == [
        ("ann_MySlate-4-phone", "ann", "MySlate-4-phone"), ("ann_said-01", "ann", "said-01")]


def test_of_a_calibrated_take_the_calibrated_table_counts(tmp_path):
    found = look_through(made(tmp_path, *(f"S_1_p{ending}.csv" for ending in ("_cal", "_raw", "_neutral")), "S_1_p.mov",
                              "T_1_raw.csv", "T_1_raw.wav"))
    assert not found.problems and not found.incomplete
    assert [(take.name, take.table.name) for take in found.takes] == [("S_1_p", "S_1_p_cal.csv"), ("T_1_raw", "T_1_raw.csv")]


def test_the_table_of_clips_says_more(tmp_path):
    made(tmp_path, "ann/one.csv", "ann/one.wav", "b_2.csv", "b_2.wav")
    (tmp_path / "clips.csv").write_text("name,subject,split,text\nann_one,anna,test,Hello.\nb_2,,train,\n")
    found = look_through(tmp_path)
    assert [(take.row.subject, take.row.split, take.row.text) for take in found.takes] == [
        ("anna", "test", "Hello."), ("b", "train", None)]


@pytest.mark.parametrize(("names", "told"), [
    ((), "holds no takes; for each put NAME.csv or NAME.json there, and NAME.wav"),
    (("a_1.csv",), "a_1.csv: has no sound beside it; put a_1.wav there"),
    (("a_1.wav",), "a_1.wav: has no table of weights beside it, a_1.csv or .json"),
    (("a_1.csv", "a_1.json", "a_1.wav"), "a_1.json: has the name of a_1.csv; keep one of the two"),
    (("a_1.csv", "A_1.csv", "a_1.wav"), "a_1.csv: has the name of A_1.csv; keep one of the two"),
    (("a_1.csv", "a_1.wav", "a_1.mp3"), "a_1.wav: has the name of a_1.mp3; keep one of the two"),
    (("a b.csv", "a b.wav"), "gives the name 'a b', which cannot name a file"),
    (("a b/c.csv", "a b/c.wav"), "gives the name 'a b', which cannot name a file"),
    (("a/b.csv", "a/b.wav", "a/clips.csv"), "a/clips.csv: is not read there; put its lines into "),
    (("a/b-c.csv", "a/b-c.wav", "a/b_c.csv", "a/b_c.wav"), "b_c.csv: would be called a_b-c, as another take is; rename it"),
])
def test_what_does_not_belong_together_is_said(tmp_path, names, told):
    found = look_through(made(tmp_path, *names))
    assert told in "\n".join([*found.problems, *found.incomplete.values()])


def test_no_link_leads_out(tmp_path):
    made(tmp_path, "in/a_1.csv", "in/b/c.csv", "in/b/c.wav", "secret/s.wav", "secret/d.csv", "secret/d.wav")
    os.symlink(tmp_path / "secret/s.wav", tmp_path / "in/a_1.wav")
    os.symlink(tmp_path / "secret", tmp_path / "in/d")
    found = look_through(tmp_path / "in")
    assert [take.name for take in found.takes] == ["b_c"]
    assert sum("leads out of" in problem for problem in found.problems) == 2

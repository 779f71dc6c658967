"""A stranger's folder: what is in it is found by name, and nothing outside is."""

import pytest

from data_prep.raw.safe_folder import Folder
from otlib.errors import InputError


@pytest.fixture
def place(tmp_path):
    """A folder with files, hidden ones too, beside a file that is nobody's business."""
    (tmp_path / "outside.wav").touch()
    for name in ("b.wav", "a.WAV", ".hidden.wav", "notes.txt", "inner/one 10.obj", "inner/one 9.obj"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).touch()
    return tmp_path / "folder"


def test_files_are_found_by_suffix_name_and_number(place):
    folder = Folder(place)
    assert folder.files({".wav"}) == [place / "a.WAV", place / "b.wav"]
    assert folder.by_stem({".wav"}) == {"a": place / "a.WAV", "b": place / "b.wav"}
    assert list(folder.folder("inner").numbered({".obj"}).items()) == [(9, place / "inner/one 9.obj"),
                                                                        (10, place / "inner/one 10.obj")]
    assert folder.file("none.npy") == place / "none.npy" and str(folder) == str(place)
    assert folder.holds_folder("inner") and not folder.holds_folder("b.wav")


def test_a_linked_folder_and_links_within_it_are_welcome(place, tmp_path):
    (tmp_path / "link").symlink_to(place)
    (place / "inner/sound.wav").symlink_to(place / "b.wav")
    folder = Folder(tmp_path / "link")
    assert folder.folder("inner").by_stem({".wav"}) == {"sound": tmp_path / "link/inner/sound.wav"}


@pytest.mark.parametrize("name", ["../outside.wav", "link.wav", "inner/link.wav", "linked/outside.wav", "/etc/passwd"])
def test_nothing_outside_is_reached(place, name):
    for link, target in (("link.wav", "../outside.wav"), ("inner/link.wav", "../../outside.wav"), ("linked", "..")):
        (place / link).symlink_to(target)
    folder = Folder(place)
    with pytest.raises(InputError, match="leads out of .*; put the file itself there"):
        folder.file(name)
    for inner in (folder, folder.folder("inner")):
        with pytest.raises(InputError, match=r"link\.wav: leads out of"):
            inner.by_stem({".wav"})
    with pytest.raises(InputError, match="linked: leads out of"):
        folder.folder("linked")


@pytest.mark.parametrize(("added", "look", "message"), [
    ("A.wav", lambda f: f.by_stem({".wav"}), "has the name of A.wav; keep one of the two"),
    ("a b.wav", lambda f: f.by_stem({".wav"}), r"a b\.wav: gives the name 'a b', which cannot name a file"),
    ("inner/one 09.obj", lambda f: f.folder("inner").numbered({".obj"}), "has the number of one 09.obj; keep one"),
    ("inner/mean.obj", lambda f: f.folder("inner").numbered({".obj"}), r"mean\.obj: has no number at the end of its name"),
    ("c.wav", lambda f: f.numbered({".ply"}), r"holds no \.ply files"),
    ("c.wav", lambda f: f.folder("none").files({".ply"}), "none: cannot be read as a folder"),
    ("c.wav", lambda f: Folder(f.path / "c.wav"), r"c\.wav: no such folder; give --raw"),
])
def test_what_cannot_be_used_is_named(place, added, look, message):
    (place / added).touch()
    with pytest.raises(InputError, match=message):
        look(Folder(place))

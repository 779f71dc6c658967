"""`python -m otlib`: which commands there are, what they hand on, and two meshes of unlike topology measured."""

import re
import subprocess
import sys

import pytest
import trimesh

from otlib.__main__ import DELEGATED, main

SHIFT_MM = 3.0
DESIGN_SHARE = 2e-4  # by so much 500 designed lines miss the mean of squares; as many random ones miss it by 4e-2
SAME_SURFACE_MM = 0.5  # two triangulations of one ball of 100 mm; barycentres miss by the order of edge^2 / radius


def write(path, mesh):
    mesh.export(path)
    return str(path)


@pytest.fixture
def ball():
    return trimesh.creation.icosphere(3, 0.1)


def distance(capsys, *arguments):
    assert main(["sliced", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(r"\S+ mm\n", printed)
    return float(printed.split()[0])


def test_a_shift_costs_its_length_over_the_root_of_the_dimension(tmp_path, ball, capsys):
    # W_p along u of a shift s is |<s, u>|; its mean square over the sphere of R^d is |s|^2 / d.
    one = write(tmp_path / "one.obj", ball)
    other = write(tmp_path / "other.obj", ball.copy().apply_translation([SHIFT_MM / 1e3, 0, 0]))
    for measure, dimension in (("barycentres", 3), ("varifold", 6)):
        expected = SHIFT_MM / dimension**0.5
        assert distance(capsys, one, other, "--measure", measure) == pytest.approx(expected, rel=DESIGN_SHARE)
    assert distance(capsys, one, one) == 0
    in_mm = distance(capsys, one, other, "--unit", "mm", "--measure", "barycentres")
    assert in_mm == pytest.approx(SHIFT_MM / 1e3 / 3**0.5, rel=DESIGN_SHARE)


def test_unlike_topologies_and_formats(tmp_path, ball, capsys):
    fine = write(tmp_path / "fine.ply", trimesh.creation.icosphere(4, 0.1))
    away = write(tmp_path / "away.glb", trimesh.creation.uv_sphere(0.11, count=[40, 40]))
    coarse = write(tmp_path / "coarse.obj", ball)
    same, apart = (distance(capsys, coarse, other, "--measure", "barycentres") for other in (fine, away))
    assert same < SAME_SURFACE_MM < 2 < apart


def test_options_change_what_they_name(tmp_path, ball, capsys):
    one = write(tmp_path / "one.obj", ball)
    other = write(tmp_path / "other.obj", ball.copy().apply_scale([1, 1, 1.3]))
    default = distance(capsys, one, other)
    assert distance(capsys, one, other) == default
    assert distance(capsys, one, other, "--p", 1) < default  # p-means rise with p
    few = [distance(capsys, one, other, "--directions", 7, "--seed", seed) for seed in (0, 1)]
    assert few[0] != few[1] and few == pytest.approx([default, default], rel=0.5)


@pytest.mark.parametrize(("arguments", "message"), [
    (["no.obj", "one.obj"], "no.obj: no such file"),
    (["one.obj", "flat.obj"], "flat.obj: the areas of the faces are all zero"),
    (["one.obj", "one.obj", "--p", "0.5"], "p must be finite and at least 1"),
])
def test_refusals_are_one_sentence(tmp_path, ball, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "one.obj", ball)
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n")
    assert main(["sliced", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""


@pytest.mark.parametrize("command", [
    ["sliced", "a", "b", "--directions"], ["sliced", "a", "b", "--seed"],
    ["train", "--data", "a", "--out", "b", "--threads"],
    *(["prepare", "synthetic", "--out", "a", option] for option in ("--hours", "--augment", "--seed", "--workers"))])
@pytest.mark.parametrize("value", ["-1", "1" + 30 * "0", "nan", "inf", "many", "", "9" * 5000, "\x1b"])
def test_numbers_are_refused_with_what_is_allowed(capsys, command, value):
    with pytest.raises(SystemExit) as ended:
        main([*command[:-1], f"{command[-1]}={value}"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and len(said) < 1200 and said.isprintable()
    assert re.search(rf"error: argument {command[-1]}: must be a (whole )?number, .* and at most \d+, but is ", said)


def test_the_other_commands_get_their_own_arguments(tmp_path, capsys):
    missing = str(tmp_path / "nothing")
    for command, arguments, message in (
            ("prepare", ["validate", missing], "nothing"), ("align", [f"{missing}.wav"], "nothing.wav"),
            ("train", ["--data", missing, "--out", str(tmp_path / "out")], "nothing")):
        assert main([command, *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", [*DELEGATED, "sliced"])
def test_every_command_says_what_it_does_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and "python -m" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"\n    python -m otlib {command} " in capsys.readouterr().out


def test_no_command_and_an_unknown_one_are_refused(capsys):
    for arguments in ([], ["walk"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


@pytest.mark.slow
def test_it_runs_as_a_program(tmp_path, ball):
    one = write(tmp_path / "one.obj", ball)
    answer = subprocess.run([sys.executable, "-m", "otlib", "sliced", one, one], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "0 mm\n", "")


@pytest.mark.parametrize("value", ["9" * 5000, "a\x1b[31m\nb", "\udcff"])
@pytest.mark.parametrize("arguments", [["sliced", "--unit"], ["sliced", "--directions"], ["sliced", "a.obj", "b.obj"]])
def test_what_a_person_wrote_is_told_in_one_line_that_any_terminal_prints(capsys, arguments, value):
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, value])
    said = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in said and said.isprintable() and len(said) < 1_200

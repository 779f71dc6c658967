"""Fill the marked blocks of README.md and results/README.md from results/reference: numbers are read, never typed."""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import re

from notebooks.experiments.folders import REFERENCE, ROOT
from notebooks.experiments.record import ScoreTable
from otlib.commands import command
from otlib.files import atomic_write, read_json

PAGES = (ROOT / "README.md", REFERENCE.with_name("README.md"))


FIRST = ("lip_max_mm", "closure_recall", "closure_precision", "correlation_lag_frames")  # on the first screen


def scores(metrics: dict) -> str:
    """Return the table of methods with every measure."""
    rows = dict(sorted(metrics["table"].items(), key=lambda item: -item[1]["lip_max_mm"]))  # JSON keeps no order
    return ScoreTable(rows).markdown()


def numbers(metrics: dict) -> str:
    """Return the table of methods with the first measures, and the sentence below it."""
    headline, test = metrics["headline"], metrics["test"]
    first = {method: {name: row[name] for name in FIRST} for method, row in metrics["table"].items()}
    low, high = headline["share_interval"]
    return (f"{scores({'table': first})}\n\n"
            f"{test['clips']} clips of {test['speakers']} unseen speakers. OT-Talk's lips are "
            f"**{headline['below_still_face']:.0%} closer** than the better still face ({headline['better_still_face']}) "
            f"and **{headline['below_loudness_and_pitch']:.0%} closer** than the same model fed loudness and pitch in "
            f"place of HuBERT; it goes {headline['share_of_the_way_to_the_oracle']:.0%} of the way from the template to the "
            f"oracle (95 % interval {low:.0%} to {high:.0%}).")


def cost(measured: dict) -> str:
    """Return what the two commands take, and of which release where it is an earlier one."""
    demo, test = measured["make demo"], measured["make test"]
    release = f" for release {measured['release']}" if "release" in measured else ""
    return (f"Measured{release} on {measured['machine']}: installing {demo['install_minutes']:.1f} min and "
            f"{demo['venv_gb']:.1f} GB of disk (once), then `make demo` {demo['minutes']:.1f} min, "
            f"{demo['peak_gib']:.1f} GiB of memory and {demo['data_gb']:.1f} GB of disk; "
            f"`make test` {test['minutes']:.1f} min.")


def bench(result: dict) -> str:
    """Return what the benchmark found, beside POT; a goal that was missed shows in its number."""
    found, machine = result["summary"], result["machine"]
    speed, memory = found["pot_over_kernel"], found["pot_memory_over_kernel_one_frame"]
    equal = [cell["pot_over_kernel"] for cell in found["pot_over_kernel_at_equal_error"]
             if (cell["dimension"], cell["error"]) == (3, "value_error") and cell["pot_over_kernel"]]
    grid = result["time"]
    return (f"Beside POT, forward and backward in points and masses, the kernel is **{speed['least']:.0f} to "
            f"{speed['most']:.0f} times faster** (geometric mean {speed['geometric_mean']:.0f}) over {len(grid)} problems "
            f"of {min(row['atoms'] for row in grid):,} to {max(row['atoms'] for row in grid):,} atoms, takes at least "
            f"{memory['least']:.0f} times less memory for one frame, and costs at most "
            f"{found['largest_kernel_over_argsort']:.1f} times as much as sorting alone (`numpy.argsort`). At equal error "
            f"of the value, with designs of directions in place of random ones, it is {min(equal):.0f} to "
            f"{max(equal):.0f} times cheaper. Measured by `make bench` on {machine['processor']}, "
            f"{machine['threads']} threads.")


def ablation(found: dict) -> str:
    """Return on what each part helps, hurts or cannot be told from chance, and how the aims on the full corpus stand."""
    full = found["full_corpus"]
    rest_on = f"Over {len(found['seeds'])} seeds and {found['speakers']} unseen speakers"
    lines = [f"{rest_on}, on 95 % intervals over speakers:", ""]
    lines += [f"- {verdict} on: {', '.join(measures)}." for verdict, measures in found["verdicts"].items() if measures]
    if full["aims"]:
        lines += ["", f"On the full corpus ({full['speakers']} unseen speakers, {len(full['seeds'])} seeds), mean and "
                  "interval:", ""]
        for name, aim in full["aims"].items():
            mean, low, high = aim["interval"]
            bound = f"at {'most' if aim['below'] else 'least'} {aim['aim']:g}"
            met = "met" if aim["met"] else "**missed**"
            lines.append(f"- {name}: {mean:.3g} [{low:.3g}, {high:.3g}], aim {bound}: {met}.")
    return "\n".join(lines)


def claims(result: dict) -> str:
    """Return what each promise that has a goal of its own was measured to be."""
    goals = [one for part in result["parts"].values() for one in part["goals"]]
    return "\n".join(f"- {one['claim']}: {one['measured']:g} (wanted: {one['wanted']}"
                     f"{'' if one['reached'] else '; **not reached**'})." for one in goals)


PEOPLE = {"found_shut": "p, b, m found, gap under 15 %", "found_near": "under 25 %", "false_share": "false, of all closures",
          "false_per_s": "false a second", "shut_in_pauses": "near in pauses", "open_vowel_mm": "gap at open vowels (mm)",
          "close_vowel_mm": "at close vowels (mm)", "closure_lag_frames": "lag (frames)"}


def people(result: dict) -> str:
    """Return the table of what lips do at the sounds of people, beside what they would do by chance."""
    measured = result["parts"]["closures"]
    lines = ["| | " + " | ".join(PEOPLE.values()) + " |", "|---" * (len(PEOPLE) + 1) + "|"]
    for name, row in measured["rows"].items():
        lines.append(f"| {name} | " + " | ".join(_with_interval(row[key]) for key in PEOPLE) + " |")
    return "\n".join(lines)


def _with_interval(score: dict) -> str:
    low_high = f" [{score['interval'][0]:.2f}, {score['interval'][1]:.2f}]" if score["interval"] else ""
    return f"{score['mean']:.2f}{low_high}"


def speed(result: dict) -> str:
    """Return how fast the model is beside its encoder and beside a peer's architecture."""
    found, bundled, machine = result["summary"], result["bundled"], result["machine"]
    return (f"**Speed.** With the bundled encoder, sound becomes {result['rows'][0]['vertices']:,} moving vertices "
            f"{bundled['times_real_time']:.0f} times faster than real time. Behind a HuBERT of base size, inference takes "
            f"{found['inference_over_encoder']:.2f} times as long as that encoder alone, and a training step on cached "
            f"features {found['step_over_baseline']:.0%} of a FaceFormer-like baseline's (written here); "
            f"{found['vertices_grow']:.1f} times the vertices make the step {found['step_grows']:.1f} times as long. "
            f"Measured by `make bench-model` on {machine['processor']}, {machine['threads']} threads.")


def fill(text: str, block: str, content: str) -> str:
    """Put ``content`` between the block's two marks."""
    marks = f"<!-- {block}:start -->", f"<!-- {block}:end -->"
    return re.sub(f"(?s){marks[0]}.*?{marks[1]}", lambda _: f"{marks[0]}\n{content}\n{marks[1]}", text)


BLOCKS = {"numbers": (numbers, "metrics.json"), "scores": (scores, "metrics.json"), "cost": (cost, "cost.json"),
          "bench": (bench, "bench/sliced_wasserstein.json"), "ablation": (ablation, "ablation.json"),
          "speed": (speed, "bench/model.json"), "claims": (claims, "bench/claims.json"),
          "people": (people, "bench/claims.json")}


def filled(text: str) -> str:
    """Return a page's text with every block as the reference has it now."""
    for block, (sentence, file) in BLOCKS.items():
        if f"<!-- {block}:start -->" in text:
            text = fill(text, block, sentence(read_json(REFERENCE / file)))
    return text


@command
def main(arguments: object = None) -> int:
    """Write both pages; return the exit status."""
    for page in PAGES:
        text = filled(page.read_text(encoding="utf-8"))
        with atomic_write(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return 0

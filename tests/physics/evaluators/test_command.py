"""Physics by an external program: what it is given, what it writes, and every way in which it can fail."""

import pickle
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.core.properties import standard_names
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.materials import Materials

ROOT = Path(__file__).parents[3]
MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})
IMAGES = (np.arange(36) < 6 * np.arange(1, 5)[:, None]).reshape(4, 6, 6).astype(np.uint8)
FRACTION = """
    import json, sys, numpy as np
    images = np.load("images.npy")
    rows = [dict.fromkeys({names}, float(image.mean())) for image in images]
    {extra}
    json.dump(rows, open("properties.json", "w"))
"""


def program(folder: Path, extra: str = "", **settings: object) -> Evaluator:
    """A program that gives the volume fraction as every property, with lines of its own before it writes."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(FRACTION).format(names=standard_names(2), extra=extra))
    return load_evaluator(f"command: {sys.executable} {script} 'an argument'", settings)


def run(evaluator: Evaluator) -> Values:
    return evaluate_each(evaluator, IMAGES, MATERIALS)


def test_the_values_are_the_program_s(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for images_per_call in [1, 3, 10]:
        with subtests.test(images_per_call=images_per_call):
            values = run(program(tmp_path, images_per_call=images_per_call))
            assert set(values) == {*standard_names(2), "error"}
            for name in standard_names(2):
                np.testing.assert_allclose(values[name], [1 / 6, 2 / 6, 3 / 6, 4 / 6])
            assert not any(values["error"])


def test_it_is_started_in_a_folder_of_its_own_with_the_arguments_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "seen"
    extra = f"import os; open({str(out)!r}, 'a').write(f'{{os.getcwd()}} {{sorted(os.listdir())}} {{sys.argv[1:]}}\\n')"
    assert not any(run(program(tmp_path, extra))["error"])
    lines = out.read_text().splitlines()
    folders = {line.split()[0] for line in lines}
    assert len(folders) == len(lines) == 4
    assert not any(Path(folder).exists() for folder in folders)
    assert all("['images.npy', 'materials.yaml', 'output.txt'] ['an argument']" in line for line in lines)


FAILURES = {
    "if images.mean() > 0.5: print('mesh tangled.'); sys.exit(3)": "code 3; its last line of output: mesh tangled.",
    "if images.mean() > 0.5: raise OSError('no licence')": "code 1; its last line of output: OSError: no licence.",
    "if images.mean() > 0.5: import os; os.kill(os.getpid(), 9)": "ended with signal SIGKILL.",
    "if images.mean() > 0.5: import time; time.sleep(90)": "took longer than 1 s and was ended.",
    "if images.mean() > 0.5: sys.exit(0)": "wrote no properties.json.",
    "if images.mean() > 0.5: open('properties.json', 'w').write('{'); sys.exit(0)": "that is not valid JSON",
    "if images.mean() > 0.5: rows = [1, 2]": "wrote 2 entries to properties.json; expected a list of 1, one an image.",
    "if images.mean() > 0.5: rows = [7]": "wrote a int for an image; expected the properties by name.",
    "if images.mean() > 0.5: del rows[0]['Gxy']": "wrote no Gxy; expected Ex, vxy,",
    "if images.mean() > 0.5: rows[0]['kx'] = float('nan')": "wrote kx = NaN; expected a finite number, or null.",
    "if images.mean() > 0.5: rows[0]['kx'] = '3'": 'wrote kx = "3"; expected a finite number, or null.',
    "if images.mean() > 0.5: rows[0] = {{'error': 'void'}}": "reports: void",
}


def test_null_is_a_value_that_is_not_defined(tmp_path: Path) -> None:
    evaluator = program(tmp_path, "if images.mean() > 0.5: rows[0]['vxy'] = None")
    values = evaluate_each(evaluator, IMAGES[2:], MATERIALS)
    assert not any(values["error"])
    np.testing.assert_array_equal(np.isnan(values["vxy"]), [False, True])
    assert np.isfinite(values["kx"]).all()


def test_a_failure_is_one_sentence_and_costs_one_image(tmp_path: Path, subtests: pytest.Subtests) -> None:
    beside = 2  # Once the image that fails has another beside it; each is a program to start.
    for extra in FAILURES:
        with subtests.test(extra=extra):
            started = time.monotonic()
            # Short where it is what is tested: programs that start slowly on a busy machine must not run into it.
            timeout = 1 if "sleep" in extra else 60
            evaluator = program(tmp_path, extra.replace("{{", "{").replace("}}", "}"), timeout=timeout)
            values = evaluate_each(evaluator, IMAGES[beside:], MATERIALS)
            assert time.monotonic() - started < 60
            np.testing.assert_allclose(values["Ex"], [3 / 6, np.nan][beside - 2 :])
            *fine, error = values["error"]
            assert not any(fine)
            assert FAILURES[extra] in error
            beside = 3
            assert "program.py" in error
            assert "\n" not in error


def test_a_call_of_several_that_fails_is_repeated_one_by_one(tmp_path: Path) -> None:
    evaluator = program(tmp_path, "if images.max((1, 2)).min() and images.mean((1, 2)).max() > 0.6: sys.exit(1)")
    values = run(evaluator.model_copy(update={"images_per_call": 4}))
    np.testing.assert_array_equal(values["error"] != "", [False, False, False, True])


def test_the_fingerprint_is_the_command_and_the_files(tmp_path: Path) -> None:
    first = program(tmp_path)
    assert program(tmp_path, timeout=7).fingerprint == first.fingerprint
    assert pickle.loads(pickle.dumps(first)).fingerprint == first.fingerprint
    assert program(tmp_path, "pass").fingerprint != first.fingerprint
    script = tmp_path / "program.py"
    assert load_evaluator(f"command: {sys.executable} {script} other").fingerprint != program(tmp_path).fingerprint


def test_bad_commands(subtests: pytest.Subtests) -> None:
    for name, settings, message in [
        ("command: no-such-program x", {}, "the program 'no-such-program' is not found or may not be run"),
        ("command:", {}, r"'command' = \(\) is not valid"),
        ("command: python 'x", {}, "No closing quotation"),
        ("command: python x", {"timeout": 0}, "'timeout' = 0 is not valid"),
        ("command: python x", {"memory": 1}, "unknown key 'memory'"),
    ]:
        with subtests.test(name=name, settings=settings), pytest.raises(InputError, match=message):
            load_evaluator(name, settings)


def test_the_example_equals_the_built_in_solver(subtests: pytest.Subtests) -> None:
    for plane in ["stress", "strain"]:
        with subtests.test(plane=plane):
            pytest.importorskip("skfem")
            materials = MATERIALS.model_copy(update={"plane": plane})
            images = np.random.default_rng(1).integers(0, 2, (2, 16, 16)).astype(np.uint8)
            images[1, :, 3:9] = 1
            command = f"command: {sys.executable} {ROOT / 'examples' / 'finite_elements.py'}"
            values = evaluate_each(load_evaluator(command, {"images_per_call": 2}), images, materials)
            expected = FFTEvaluator(tolerance=1e-5).evaluate(images, materials)
            assert not any(values["error"])
            for name in standard_names(2):
                np.testing.assert_allclose(values[name], expected[name], rtol=1e-3, err_msg=name)

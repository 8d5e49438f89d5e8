"""What `ssl-kit plugin new` writes works at once."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssl_kit import UnknownNameError, UsageError
from ssl_kit.cli import main
from ssl_kit.commands.scaffolding.package import create, next_steps

KINDS = ("objective", "domain", "dataset", "evaluation", "recipe")
ROOT = Path(__file__).parents[2]


def new(*args):
    return CliRunner().invoke(main, ["plugin", "new", *map(str, args)])


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left(kind, tmp_path):
    written = texts(create(kind, "mirror_ball", tmp_path))
    assert written
    for path, text in written.items():
        assert not any(word in path + text for word in ("example_", "example-", "ExampleName"))
        assert "EXAMPLE" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_its_parts_are_named_after_it(kind, tmp_path):
    folder = create(kind, "mirror_ball", tmp_path)
    written = texts(folder)
    assert folder.name == "ssl-kit-mirror-ball"
    assert {"README.md", "ssl_kit_mirror_ball/py.typed", "tests/test_mirror_ball.py"} < set(written)
    assert 'name = "ssl-kit-mirror-ball"' in written["pyproject.toml"]
    assert 'mirror_ball = "ssl_kit_mirror_ball"' in written["pyproject.toml"]
    word = {"domain": "MIRROR_BALL = Domain(", "recipe": "[comparisons.linear-probe]"}
    file = "recipe.toml" if kind == "recipe" else f"{kind}.py"
    assert word.get(kind, "class MirrorBall(") in written[f"ssl_kit_mirror_ball/{file}"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_compiled_is_copied(kind, tmp_path):
    assert not list(create(kind, "mirror_ball", tmp_path).rglob("__pycache__"))


def test_the_table_of_contents_imports_nothing_heavy(tmp_path):
    for kind in KINDS:
        folder = create(kind, f"my_{kind}", tmp_path)
        code = (
            f"import sys, ssl_kit_my_{kind}; "
            "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'cv2', 'pydantic')))"
        )
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_the_command_says_what_was_written_and_what_is_next(tmp_path):
    done = new("objective", "mirror_ball", "--out", tmp_path)
    assert done.exit_code == 0
    folder = tmp_path / "ssl-kit-mirror-ball"
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == f"Written to {folder}:"
    assert lines[-4:] == [
        "Next:",
        f"pip install -e {folder}",
        "ssl-kit plugin check mirror_ball",
        "ssl-kit train --domain natural --objective mirror_ball --epochs 5",
    ]
    assert set(texts(folder)) == set(lines[1:-4])


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_steps_name_the_plugin(kind, tmp_path):
    *_, check, use = next_steps(kind, "mirror_ball", tmp_path).splitlines()
    assert "plugin check mirror_ball" in check
    assert "mirror_ball" in use


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("mirror-ball", "mirror_ball"),
        ("MirrorBall", "mirror_ball"),
        ("mirror ball!", "mirror_ball"),
        ("_ball", "ball"),
        ("2nd", "my_2nd"),
        ("class", "my_class"),
        ("../ball", "ball"),
        ("ball\n", "ball"),
        ("--", "my"),
    ],
)
def test_an_odd_name_is_refused_with_a_better_one(name, better, tmp_path):
    with pytest.raises(UsageError, match=f"Did you mean '{better}'") as caught:
        create("objective", name, tmp_path)
    create("objective", better, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("objective", "simclr", "The objective 'simclr' exists already"),
        ("domain", "natural", "The domain 'natural' exists already"),
        ("dataset", "digits", "The dataset 'digits' exists already"),
        ("evaluation", "knn", "The evaluation 'knn' exists already"),
        ("objective", "view", "'View' means something else in the code"),
        ("dataset", "none", "'None' means something else in the code"),
    ],
)
def test_a_taken_name_is_refused_in_one_line(kind, name, reason, tmp_path):
    done = new(kind, name, "--out", tmp_path)
    assert done.exit_code == 2
    assert done.stderr == f"Error: {reason}. Choose another NAME, such as 'my_{name}'.\n"
    assert not list(tmp_path.iterdir())


def test_an_installed_package_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "ssl_kit_lamp").mkdir()
    (tmp_path / "ssl_kit_lamp" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="'ssl_kit_lamp' is installed already"):
        create("objective", "lamp", tmp_path)


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    create("objective", "mirror_ball", tmp_path)
    done = new("dataset", "mirror_ball", "--out", tmp_path)
    assert done.exit_code == 2
    assert "exists already. Choose another NAME or --out.\n" in done.stderr
    assert "ssl_kit_mirror_ball/objective.py" in texts(tmp_path / "ssl-kit-mirror-ball")


def test_an_unknown_kind_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'objective'"):
        create("objektive", "mirror_ball", tmp_path)


@pytest.mark.slow
def test_the_tests_of_all_kinds_pass_at_once(tmp_path):
    """Single files tell ssl-kit of the packages; two processes are left to the slow test below."""
    shims, paths, tests = tmp_path / "plugins", [], []
    shims.mkdir()
    for kind in KINDS:
        folder = create(kind, f"my_{kind}", tmp_path)
        (shims / f"find_my_{kind}.py").write_text(f"from ssl_kit_my_{kind} import *\n")
        paths.append(str(folder))
        tests.append(str(folder / "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error",
         "-k", "not processes", "--rootdir", str(tmp_path), *tests],
        env={**os.environ, "SSL_KIT_PLUGINS_DIR": str(shims), "OMP_NUM_THREADS": "1",
             "PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def install(folder):
    """Installs ssl-kit into a new environment, and returns where its commands are.

    All else is borrowed: links to every distribution that is installed here but ssl-kit's own.
    """
    (folder / "borrowed").mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not any(word in path.name.lower() for word in ("ssl_kit", "editable", ".pth")):
            (folder / "borrowed" / path.name).symlink_to(path)
    venv.create(folder / "venv", with_pip=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{folder / 'borrowed'}\n")
    leave = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, folder / "source", ignore=leave)
    subprocess.run([folder / "venv/bin/pip", "install", "--quiet", source], check=True)
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_an_objective_is_installed_and_trained_where_nothing_else_of_ours_is(tmp_path):
    commands = install(tmp_path)

    def run(command, *args):
        done = subprocess.run(
            [commands / command, *args], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("ssl-kit", "plugin", "new", "objective", "mirror_ball")
    run("pip", "install", "--quiet", "./ssl-kit-mirror-ball")
    where = run("python", "-c", "import ssl_kit, ssl_kit_mirror_ball as m; "
                "print(ssl_kit.__file__, m.__file__, sep='\\n')")  # fmt: skip
    assert all(str(tmp_path / "venv" / "lib") in path for path in where.split())
    assert "mirror_ball" in run("ssl-kit", "objectives")
    assert "0 broken" in run("ssl-kit", "plugin", "check", "mirror_ball")
    run("ssl-kit", "train", "--domain", "natural", "--objective", "mirror_ball", "--encoder",
        "test_resnet", "--image-size", "32", "--epochs", "1", "--batch-size", "700",
        "--workers", "0", "--out", "run")  # fmt: skip
    assert '"step": 2' in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert (tmp_path / "run" / "encoder.safetensors").is_file()

"""Each test runs the command line with plugins of its own; that takes about 0.3 s."""

import json
import os

from ssl_kit.commands.doctor import health
from ssl_kit.core.registry import Entry, Registry

HOOK = "from ssl_kit import hookimpl\n"


def plugin(*names, kind="objectives", value="collections:Counter"):
    lines = [f"    register({name!r}, {value!r}, summary='mine')" for name in names]
    return HOOK + "\n".join(["@hookimpl", f"def register_{kind}(register):", *lines])


def test_a_single_file_is_a_plugin(ssl_kit):
    done = ssl_kit("objectives", "--json", plugins={"mirror": plugin("mirror_ball")})
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["mirror_ball"]["summary"] == "mine"
    assert rows["mirror_ball"]["plugin"].endswith("mirror.py")


def test_a_broken_plugin_harms_no_other_and_is_shown(ssl_kit):
    broken = "raise RuntimeError('no luck')"
    both = {"good": plugin("mirror_ball"), "broken": broken}
    done = ssl_kit("plugins", "--json", plugins=both)
    errors = {row["name"]: row["error"] for row in json.loads(done.stdout)}
    assert errors["broken"] == "RuntimeError: no luck"
    assert errors["good"] == errors["ssl-kit"] == ""
    assert "FAILED: RuntimeError: no luck" in ssl_kit("plugins", plugins=both).stdout


def test_a_broken_plugin_is_named_when_a_look_up_fails(ssl_kit):
    done = ssl_kit("objectives", "nope", plugins={"broken": "import no_such_module"})
    assert done.returncode == 2
    assert "broken (ModuleNotFoundError: No module named 'no_such_module')" in done.stderr


EXITING_HOOKS = HOOK + (
    "import sys\n@hookimpl\ndef register_objectives(register):\n    sys.exit(3)\n"
    "@hookimpl\ndef register_commands(cli):\n    sys.exit(4)"
)
IMPOLITE = (
    "import os, sys, time\nprint('hello')\nos.chdir('/')\nsys.path.insert(0, '/other')\n"
    "if 'plugins' in sys.argv:\n    time.sleep(1.01)\n"  # only there is the time looked at
)


def test_a_plugin_that_exits_or_changes_the_process_harms_nothing(ssl_kit):
    plugins = {
        "rude": "raise SystemExit(3)",
        "stop": "class Stop(BaseException): pass\nraise Stop('no')",
        "hooks": EXITING_HOOKS,
        "impolite": IMPOLITE + plugin("mirror_ball"),
        "torch": plugin("mirror_ball"),
    }
    done = ssl_kit("plugins", "--json", plugins=plugins)
    states = {row["name"]: row["state"] for row in json.loads(done.stdout)}
    assert states["rude"] == "FAILED: SystemExit: 3"
    assert states["stop"] == "FAILED: Stop: no"
    assert states["hooks"] == "FAILED: SystemExit: 3"
    assert "the name of the module 'torch'; rename the file" in states["torch"]
    for remark in ("s to load", "prints", "working directory", "sys.path"):
        assert remark in states["impolite"]
    assert "mirror_ball" in ssl_kit("objectives", plugins=plugins).stdout
    assert "train" in ssl_kit("--help", plugins={"hooks": EXITING_HOOKS}).stdout


def test_doctor_names_what_a_plugin_registers_and_cannot_load(monkeypatch):
    broken = Registry("dataset", lambda: None)
    broken.add(Entry("lamp", "no_such:X", origin="lamps"))
    monkeypatch.setattr("ssl_kit.commands.doctor.REGISTRIES", {"": broken})
    row = health()[-1]
    assert (row["check"], row["ok"]) == ("dataset lamp", False)
    assert "failed to load from 'no_such:X'" in row["found"]


def test_a_misspelled_hook_is_an_error(ssl_kit):
    source = plugin("mirror_ball").replace("register_objectives", "register_objetives")
    done = ssl_kit("plugins", "--json", plugins={"typo": source})
    error = {row["name"]: row["error"] for row in json.loads(done.stdout)}["typo"]
    assert "unknown hook register_objetives; there are register_commands" in error


def test_a_hook_that_raises_is_kept_with_its_plugin(ssl_kit):
    source = plugin("mirror_ball") + "\n    1 / 0"
    done = ssl_kit("plugins", "--json", plugins={"late": source})
    errors = {row["name"]: row["error"] for row in json.loads(done.stdout)}
    assert errors["late"] == "ZeroDivisionError: division by zero"


def test_a_duplicate_name_fails_on_its_look_up_naming_both(ssl_kit):
    two = {"one": plugin("mirror_ball"), "two": plugin("mirror_ball")}
    done = ssl_kit("objectives", "mirror_ball", plugins=two)
    assert done.returncode == 1
    assert "registered twice" in done.stderr
    assert "one.py" in done.stderr
    assert "two.py" in done.stderr


def test_a_duplicate_name_leaves_all_other_names_alone(ssl_kit):
    two = {"one": plugin("mirror_ball"), "two": plugin("mirror_ball", "lava_lamp")}
    assert ssl_kit("objectives", "simclr", plugins=two).returncode == 0
    listed = ssl_kit("objectives", plugins=two)
    assert listed.returncode == 0
    assert "lava_lamp" in listed.stdout
    assert "registered twice" in listed.stdout


def test_a_file_named_like_another_plugin_does_not_remove_it(ssl_kit):
    done = ssl_kit("objectives", plugins={"ssl-kit": plugin("mirror_ball")})
    assert "simclr" in done.stdout


def test_a_known_domain_that_is_not_installed_prints_the_command(ssl_kit):
    # histopathology and the like are registered by the kit; one of our own needs no guess
    source = HOOK + (
        "@hookimpl\ndef register_domains(register):\n"
        "    register('tree_rings', None, install='pip install tree-rings')"
    )
    done = ssl_kit("domains", "tree_rings", plugins={"known": source})
    assert done.returncode == 2
    assert "not installed: run 'pip install tree-rings'" in done.stderr


def test_the_allow_list_limits_entry_points(ssl_kit):
    rows = json.loads(ssl_kit("plugins", "--json", SSL_KIT_PLUGINS="no_such_plugin").stdout)
    assert [row["name"] for row in rows] == ["ssl-kit"]


def test_a_missing_plugins_folder_is_a_usage_error(ssl_kit):
    done = ssl_kit("--plugins-dir", "nowhere", "objectives")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: The plugins folder 'nowhere' does not exist. Correct --plugins-dir.\n"
    )


def test_a_plugin_adds_a_command(ssl_kit):
    source = HOOK + (
        "@hookimpl\ndef register_commands(cli):\n"
        "    @cli.command()\n    def wave():\n        '''Waves.'''\n        print('hello')"
    )
    assert ssl_kit("wave", plugins={"waver": source}).stdout == "hello\n"
    assert "wave" in ssl_kit("--help", plugins={"waver": source}).stdout


def test_a_command_hook_that_raises_harms_no_other_command(ssl_kit):
    source = HOOK + "@hookimpl\ndef register_commands(cli):\n    1 / 0"
    assert "train" in ssl_kit("--help", plugins={"bad": source}).stdout


def package(site, distribution, module, names):
    """Writes an installed distribution whose entry point is called `sar`."""
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ssl_kit]\nsar = {module}\n")
    (site / f"{module}.py").write_text(plugin(*names))


def test_entry_points_of_one_name_are_two_plugins(ssl_kit, tmp_path):
    package(tmp_path / "site", "harbor-sar", "harbor_sar", ["harbor"])
    package(tmp_path / "site", "inland-sar", "inland_sar", ["inland"])
    path = ":".join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    done = ssl_kit("plugins", "--json", PYTHONPATH=path)
    rows = [(row["name"], row["from"], row["error"]) for row in json.loads(done.stdout)]
    assert ("sar", "harbor-sar 1.0", "") in rows
    assert ("sar", "inland-sar 1.0", "") in rows
    listed = ssl_kit("objectives", PYTHONPATH=path).stdout
    assert "harbor" in listed
    assert "inland" in listed


def test_a_clash_names_both_distributions(ssl_kit, tmp_path):
    for name in ("harbor", "inland"):
        package(tmp_path / "site", f"{name}-sar", f"{name}_sar", ["harbor"])
    path = ":".join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    done = ssl_kit("objectives", "harbor", PYTHONPATH=path)
    assert done.returncode == 1
    assert "registered twice: by 'harbor-sar' and by 'inland-sar'" in done.stderr
    assert len(done.stderr.splitlines()) == 1

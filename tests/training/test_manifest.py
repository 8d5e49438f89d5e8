"""What a run records of the machine and the code that made it."""

from ssl_kit.training.manifest import environment


def test_without_the_git_program_the_state_of_the_code_is_empty(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.__wrapped__()["git"] == ""

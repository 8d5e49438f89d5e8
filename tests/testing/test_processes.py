import multiprocessing

import pytest

from ssl_kit.testing import processes


@pytest.mark.parametrize(
    ("known", "chosen"), [(["spawn", "fork", "forkserver"], "forkserver"), (["spawn"], "spawn")]
)
def test_processes_are_started_in_a_way_that_the_system_has(monkeypatch, known, chosen):
    asked = []

    def note(method):
        asked.append(method)
        return contexts[method]

    contexts = {method: multiprocessing.get_context(method) for method in known}
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: known)
    monkeypatch.setattr(multiprocessing, "get_context", note)
    monkeypatch.setattr(processes.atexit, "register", lambda *args, **options: None)
    processes._pool.__wrapped__().shutdown()
    assert asked[0] == chosen

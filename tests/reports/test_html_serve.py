import os
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ssl_kit import UsageError
from ssl_kit.reports.html.serve import make_server


@pytest.fixture
def served(tmp_path):
    """A page that counts how often it was made, its server's address, and its file."""
    file, made = tmp_path / "metrics.jsonl", []

    def render():
        made.append(1)
        return f"page {len(made)}".encode()

    with make_server(render, [file, tmp_path / "absent"], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server, file
        server.shutdown()
        thread.join()


def get(server, path, **headers):
    url = f"http://127.0.0.1:{server.server_port}{path}"
    with urlopen(Request(url, headers=headers)) as answer:
        return answer.read().decode()


def test_the_page_is_made_anew_only_when_the_file_changes(served):
    server, file = served
    version = get(server, "/version")
    assert [get(server, "/"), get(server, "/")] == ["page 1", "page 1"]
    file.write_text("{}\n")
    assert get(server, "/version") != version
    assert [get(server, "/"), get(server, "/")] == ["page 2", "page 2"]
    os.utime(file, ns=(1, 1))
    assert get(server, "/") == "page 3"


def test_it_listens_on_this_machine_only(served):
    assert served[0].server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "host", "code"),
    [
        ("/", "evil.example", 403),
        ("/config.toml", "localhost", 404),
        ("/../etc/passwd", "localhost", 404),
    ],
)
def test_anything_else_is_refused(served, path, host, code):
    with pytest.raises(HTTPError) as refused:
        get(served[0], path, Host=host)
    refused.value.close()
    assert refused.value.code == code


def test_a_port_in_use_is_a_plain_error(served):
    with pytest.raises(UsageError, match="Choose another --port"):
        make_server(bytes, [], served[0].server_port)

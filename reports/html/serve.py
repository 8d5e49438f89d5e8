"""Serves the live view of a running training, to this machine only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from ...core.errors import UsageError

Render = Callable[[], bytes]


class _Pages:
    """A page that is rendered again when a file that it depends on has changed."""

    def __init__(self, render: Render, files: Sequence[Path]) -> None:
        self._render, self._files, self._lock = render, files, Lock()
        self._version, self._page = "", b""

    def version(self) -> str:
        """Returns a text that changes whenever one of the files changes."""
        stats = [f.stat() if f.exists() else None for f in self._files]
        return " ".join(f"{s.st_mtime_ns}:{s.st_size}" if s else "-" for s in stats)

    def page(self) -> bytes:
        """Returns the page for the present state of the files."""
        with self._lock:
            version = self.version()
            if version != self._version:
                self._page, self._version = self._render(), version
            return self._page


def make_server(render: Render, files: Sequence[Path], port: int) -> ThreadingHTTPServer:
    """Makes a server of the page at "/" and of its version at "/version".

    Args:
        render: Renders the page.
        files: Files that the page depends on.
        port: Port at 127.0.0.1; 0 chooses a free one.

    Raises:
        UsageError: If the port cannot be used.
    """
    pages = _Pages(render, files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rsplit(":", 1)[0]
            if host not in ("localhost", "127.0.0.1"):  # the request was made under another name
                self.send_error(403)
            elif self.path == "/":
                self._send(pages.page(), "text/html; charset=utf-8")
            elif self.path == "/version":
                self._send(pages.version().encode(), "text/plain")
            else:
                self.send_error(404)

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing, because a page that refreshes itself would fill the terminal."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used: {error.strerror}. Choose another --port."
        ) from error

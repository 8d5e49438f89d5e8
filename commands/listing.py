"""Lists what plugins register. Nothing here imports torch, unless a page cannot do without."""

from typing import Any

from ..core.discovery import discovery
from .listings.rows import describe as describe
from .listings.rows import entries as entries


def plugin_rows() -> list[dict[str, Any]]:
    """Returns every plugin that was found, usable or not."""
    return [
        {
            "name": p.name,
            "from": f"{p.origin} {p.version}".strip(),
            "hooks": list(p.hooks),
            "error": p.error,
            "state": f"FAILED: {p.error}" if p.error else "; ".join(p.remarks) or "ok",
        }
        for p in discovery().plugins
    ]

"""What --json prints can be read by any JSON parser."""

import json

from ssl_kit.commands.terminal.printing import show


def test_numbers_that_json_does_not_have_become_null(capsys):
    show({"f1": float("nan"), "rows": [{"high": float("inf")}]}, True, str)

    def never(name):
        raise AssertionError(f"{name} is no JSON")

    values = json.loads(capsys.readouterr().out, parse_constant=never)
    assert values == {"f1": None, "rows": [{"high": None}]}

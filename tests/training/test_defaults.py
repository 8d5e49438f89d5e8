import pytest

from ssl_kit import UsageError
from ssl_kit.training.setup import resolve


def test_an_encoder_that_is_no_table_is_a_wrong_value():
    with pytest.raises(UsageError, match="Wrong value for 'encoder'"):
        resolve({"domain": "natural", "encoder": "resnet50"})

from ssl_kit.testing import parametrize_with_checks


@parametrize_with_checks("recipe", "example_name")
def test_keeps_to_the_contract(check):
    check()

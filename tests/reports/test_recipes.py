from ssl_kit.reports.recipes import in_recipe


def test_advice_on_a_comparison_can_be_followed_in_a_recipe():
    text = "There is one seed. Give --seeds 3. Train longer, with --set finetune.epochs=400."
    assert in_recipe(text, "frozen") == (
        "There is one seed. Give --set comparisons.frozen.seeds=3. Train longer, with --set "
        "comparisons.frozen.options.finetune.epochs=400."
    )

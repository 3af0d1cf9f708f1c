from resnet_cli.spec.errors import unknown_name


def test_an_unknown_name_is_shown_beside_the_nearest_and_all_known_ones() -> None:
    message = str(unknown_name("model", "resent", ["resnet", "plain-mlp"]))
    assert message == "model (=resent) is not known (did you mean resnet?); known are plain-mlp, resnet."


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert str(unknown_name("task", "xyz", ["sine"])) == "task (=xyz) is not known; known are sine."

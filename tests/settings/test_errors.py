from resnet_cli.settings.errors import unknown_name


def test_the_closest_and_all_known_names_are_suggested() -> None:
    message = str(unknown_name("model", "resent", ["resnet", "plain-mlp"]))
    assert message == "model (=resent) is not known (did you mean resnet?); known are plain-mlp, resnet."


def test_a_name_unlike_all_others_gets_no_suggestion() -> None:
    assert str(unknown_name("task", "xyz", ["sine"])) == "task (=xyz) is not known; known are sine."

"""`resnet-exp models`: what can be trained."""

NAME = "models"
EPILOG = "Example: [bold]resnet-exp models[/]"


def command() -> None:
    """List the models with their paper, the depths that exist, and the settings they take."""
    from resnet_cli.cli.console import make_console
    from resnet_cli.cli.tables import listing
    from resnet_cli.models import all_models

    rows = [
        [
            model.name,
            model.title,
            model.paper,
            f"{model.depth_rule.formula} from {model.depth_rule.first}",
            ", ".join(sorted(model.settings)),
        ]
        for model in all_models().values()
    ]
    make_console().print(listing(["model", "what it is", "paper", "depths", "settings"], rows))

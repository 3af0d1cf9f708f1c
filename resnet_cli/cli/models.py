"""`resnet-exp models`: what can be trained."""

NAME = "models"
EPILOG = "Example: [bold]resnet-exp models[/]"


def command() -> None:
    """List the models with their paper, the depths that exist, and the settings they take."""
    from rich.console import Console

    from resnet_cli.cli.tables import plain_table
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
    Console(highlight=False).print(plain_table(["model", "what it is", "paper", "depths", "settings"], rows))

"""`resnet-exp tasks`: what can be learned."""

NAME = "tasks"
EPILOG = "Example: [bold]resnet-exp tasks[/]"


def command() -> None:
    """List the tasks with their source, the models that can learn them, and the settings they take."""
    from resnet_cli.cli.console import make_console
    from resnet_cli.cli.tables import listing
    from resnet_cli.models import all_models
    from resnet_cli.tasks import all_tasks

    rows = [
        [
            task.name,
            task.title,
            task.source,
            ", ".join(model.name for model in all_models().values() if model.family in task.families),
            ", ".join(sorted(task.settings)),
        ]
        for task in all_tasks().values()
    ]
    make_console().print(listing(["task", "what it is", "source", "models", "settings"], rows))

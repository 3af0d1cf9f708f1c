"""`resnet-exp configs`: the sweeps that come with the program."""

from resnet_cli.cli.console import make_console
from resnet_cli.cli.help_pages import examples

EPILOG = examples("resnet-exp configs", "resnet-exp sweep --config digits --set seeds=0")


def command() -> None:
    """List the bundled configurations: what each shows, its number of runs, and how long it takes."""
    from rich.text import Text

    from resnet_cli.cli.tables import listing
    from resnet_cli.settings.configs import bundled_configs

    rows = [
        [name, str(config.runs), f"{config.shows}\nTime: {config.cost}"] for name, config in bundled_configs().items()
    ]
    console = make_console()
    console.print(listing(["config", "runs", "what it shows, time"], rows))
    console.print(Text("\nRun one with `resnet-exp sweep --config NAME`; --set changes any setting."))

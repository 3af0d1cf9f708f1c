"""`python -m resnet_cli` is `resnet-exp`."""

from resnet_cli.cli.main import run

if __name__ == "__main__":
    run()

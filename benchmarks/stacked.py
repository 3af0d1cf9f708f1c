"""Compare the stacked engine with the loop engine, as `resnet-exp bench` does. See README.md."""

import sys

from resnet_cli.cli.main import run

if __name__ == "__main__":
    sys.argv[1:1] = ["bench"]
    run()

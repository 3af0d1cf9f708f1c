"""The stacked engine against the loop engine; the same as `resnet-exp bench`. See README.md."""

import sys

from resnet_cli.cli.main import run

if __name__ == "__main__":
    sys.argv[1:1] = ["bench"]
    run()

"""What pyproject.toml has no words for: the wheel holds the top-level folder configs/ as resnet_cli/configs/."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["resnet_cli*"]), "resnet_cli.configs"],
    package_dir={"resnet_cli.configs": "configs"},
)

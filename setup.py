"""What pyproject.toml has no words for: the wheel holds folders that are not in resnet_cli/.

configs/ becomes resnet_cli/configs/, and the results in docs/results/ become resnet_cli/reference/.
"""

from setuptools import find_packages, setup

FOLDERS = {"resnet_cli.configs": "configs", "resnet_cli.reference": "docs/results"}

setup(packages=[*find_packages(include=["resnet_cli*"]), *FOLDERS], package_dir=FOLDERS)

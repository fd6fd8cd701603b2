"""What pyproject.toml cannot say: pip puts assets/ inside of avatars/."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["dnr*", "avatars*"]), "avatars.assets"],
    package_dir={"avatars.assets": "assets"},
    package_data={"avatars.assets": ["*.npz"]},
)

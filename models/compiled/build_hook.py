"""Compiles the modules beside it when riverrun is built or installed; without a C compiler it leaves them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-O2", "-ffp-contract=off", "-fno-builtin"]
"""Floats are rounded as CPython rounds them: after each operation, powers and logarithms by the C library."""


class CompiledHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is no part of what is checked
    """Builds in place, so that an editable install has them too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling calls it
        """Compile, and say that the wheel is one for this platform."""
        try:
            _compile(Path(self.root))
        except (ImportError, Exception) as why:
            self.app.display_warning(f"River's hot paths are not compiled, its own functions will run: {why}")
            return
        build_data["pure_python"], build_data["infer_tag"] = False, True
        build_data["artifacts"].append("models/compiled/*.so")


def _compile(root: Path) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    here = Path("models/compiled")
    modules = [
        Extension(f"models.compiled.{each.stem}", [str(here / each.name)], extra_compile_args=FLAGS)
        for each in sorted((root / here).glob("*.pyx"))
    ]
    built = Distribution(
        {"name": "riverrun", "ext_modules": cythonize(modules, build_dir="build/compiled", quiet=True)}
    )
    command = built.get_command_obj("build_ext")
    command.inplace, command.build_temp = True, "build/compiled"
    command.ensure_finalized()
    command.run()

"""The house rules that no single module can keep alone: public names, instant import, imports that point down."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import conservator

SOURCE = Path(conservator.__file__).parent

TOP = 9


def floors() -> dict[str, int]:
    """Floor of each module and folder as drawn in docs/architecture.md; a module may import its own and those below."""
    page = (SOURCE.parent.parent / "docs/architecture.md").read_text("utf-8")
    drawn = re.findall(r"^  (\S+(?: \S+)*)  .*\((top|\d)\)$", page, re.MULTILINE)
    found = {name.strip("/").removesuffix(".py"): floor for names, floor in drawn for name in names.split()}
    return {name: TOP if floor == "top" else int(floor) for name, floor in found.items()} | {"__main__": TOP}


FLOORS = floors()

HEAVY = ("torch", "cv2", "skimage", "scipy", "onnxruntime", "typer", "rich", "PIL", "numpy")


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def floor_of(path: Path) -> int:
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert first in FLOORS, f"{first} stands on no floor: draw it in docs/architecture.md"
    return FLOORS[first]


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules of this package that a file imports when it runs, inside functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor they lead to"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down_the_floors(path: Path) -> None:
    floor = floor_of(path)
    for name in imported(ast.parse(path.read_text("utf-8"))):
        package, _, rest = name.partition(".")
        if package == "conservator":
            # The public face only passes on what lives in treatment.py and below.
            target = FLOORS.get(rest.partition(".")[0], FLOORS["treatment"])
            assert target <= floor, f"{path.name} on floor {floor} imports {name} from floor {target}"


def test_the_public_names_are_those_of_all() -> None:
    assert list(conservator.__all__) == sorted(set(conservator.__all__))
    assert set(dir(conservator)) == {*conservator.__all__, "__version__"}
    for name in conservator.__all__:
        found = getattr(conservator, name)
        assert found.__name__ == name
        assert found.__doc__


def test_type_checkers_see_the_same_names_as_the_program() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(conservator.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="restor"):
        _ = conservator.restor


def test_the_version_is_the_one_of_the_package() -> None:
    text = (SOURCE.parent.parent / "pyproject.toml").read_text("utf-8")
    assert f'version = "{conservator.__version__}"' in text


def test_import_pulls_in_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import conservator; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.partition(".")[0] in HEAVY]
    assert len(loaded) < 60


@pytest.mark.parametrize("command", ["--version", "--help", "restore --help", "bench --help"])
def test_asking_for_help_loads_no_network_and_no_picture_library(command: str) -> None:
    code = (
        "import sys; from conservator.cli import app\n"
        f"try: app({command.split()!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stderr.split()}
    assert not loaded & {"torch", "cv2", "skimage", "scipy", "onnxruntime", "PIL"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_imports_and_says_what_it_is_for(path: Path) -> None:
    name = ".".join(("conservator", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    if "\nimport gradio" in path.read_text("utf-8"):
        pytest.importorskip("gradio", reason="the extra `studio` is not installed")
    assert importlib.import_module(name).__doc__ or path.name == "__init__.py"

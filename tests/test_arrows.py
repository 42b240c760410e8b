"""Imports between rooms go one way; a room is a module or package directly below `dermaxai`.

A new room needs a row here. The order of the rows is the order in which the program is read.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dermaxai

PACKAGE = Path(dermaxai.__file__).parent

GROUND = {
    "errors", "progress", "registry", "geometry", "types", "scores", "settings", "statements", "concepts",
    "vocabulary",
}  # fmt: skip
PHOTOS = GROUND | {"bombs", "colour", "metadata", "images"}
ENCODING = PHOTOS | {"encoders"}
CAPTIONING = ENCODING | {"captioner"}
EXPLAINING = CAPTIONING | {"explain"}
MEASURING = EXPLAINING | {"measure"}
ASSEMBLING = MEASURING | {"describing", "loading", "questions", "answers", "provenance", "sharpness"}
CASES = GROUND | {"cases"}
OUTPUTS = CASES | {"i18n", "messages", "overlay", "figures", "viewer", "packing", "report", "pictures", "pdf"}
WHOLE = ASSEMBLING | OUTPUTS | {"pipeline", "phantom"}
LEARNING = WHOLE | {"data", "features"}
STORING = OUTPUTS | {"store", "images", "colour", "metadata"}
EVERYTHING = None
"""For the top: it may import any room, and nobody imports it."""

MAY = {
    "errors": set(),
    "progress": set(),
    "registry": {"errors"},
    "geometry": {"errors"},
    "types": {"errors", "geometry"},
    "scores": {"errors", "types"},
    "settings": {"errors", "registry"},
    "vocabulary": {"errors", "registry", "types"},
    "statements": {"errors", "registry", "types", "vocabulary"},
    "concepts": {"errors", "registry", "types", "statements", "vocabulary"},
    "colour": GROUND,
    "metadata": GROUND,
    "bombs": GROUND,
    "images": GROUND | {"bombs", "colour", "metadata"},
    "dicom": PHOTOS,
    "phantom": PHOTOS,
    "encoders": PHOTOS,
    "captioner": ENCODING,
    "explain": CAPTIONING,
    "measure": EXPLAINING | {"phantom"},
    "sharpness": GROUND | {"colour"},
    "describing": CAPTIONING,
    "loading": EXPLAINING,
    "questions": EXPLAINING,
    "answers": EXPLAINING,
    "provenance": MEASURING | {"loading"},
    "pipeline": ASSEMBLING | CASES,
    "data": PHOTOS,
    "features": PHOTOS | {"data", "encoders"},
    "training": LEARNING,
    "embedded": LEARNING | {"training"},
    "evaluate": LEARNING | {"training"},
    "study": LEARNING | {"training", "evaluate"},
    "bulk": WHOLE,
    "cases": GROUND,
    "i18n": GROUND,
    "messages": GROUND | {"i18n"},
    "overlay": GROUND,
    "viewer": CASES | {"overlay", "i18n", "messages"},
    "figures": CASES | {"overlay", "i18n"},
    "packing": GROUND,
    "report": OUTPUTS - {"report", "pictures", "pdf"},
    "pictures": CASES | {"overlay"},
    "pdf": OUTPUTS - {"pdf"},
    "collection": OUTPUTS | {"measure", "evaluate"},
    "store": STORING - {"store"},
    "jobs": STORING | WHOLE,
    "reading": STORING,
    "client": GROUND,
    "__init__": WHOLE,
    "__main__": EVERYTHING,
    "commands": EVERYTHING,
    "api": EVERYTHING,
    "cli": EVERYTHING,
}
TOP = {"__main__", "commands", "api", "cli"}

INSIDE_FUNCTIONS = {
    ("types", "scores"): "Case.score is a name for find_score",
    ("types", "cases"): "Case.save is a name for save_case, so that its user needs no second import",
    ("types", "report"): "Case.report is a name for write_report",
    ("types", "pdf"): "Case.report is a name for write_pdf, too",
    ("types", "figures"): "Case.figure is a name for the figures of figures.py",
    ("images", "dicom"): "read_image hands DICOM files to the optional reader",
}
"""Arrows that go back, allowed only where the import happens when the function runs."""

MODEL_FREE = (
    "cases",
    "i18n",
    "messages",
    "overlay",
    "viewer",
    "figures",
    "packing",
    "report",
    "pictures",
    "pdf",
    "collection.writing",
)
"""Rooms that read a `Case` and know no model."""


def room_of(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(node):
    """Full names of the modules of this package that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.startswith("dermaxai.")]
    if isinstance(node, ast.ImportFrom) and node.module == "dermaxai":
        return [f"dermaxai.{alias.name}" for alias in node.names]
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dermaxai."):
        return [node.module]
    return []


def arrows(file):
    """(room, imported room, inside a function) of every import of this package in one file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        for name in imported(node):
            target = name.split(".")[1]
            if target != room_of(file):
                yield room_of(file), target, id(node) in late


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_row():
    assert {room_of(file) for file in FILES} <= set(MAY), "give the new room its row in MAY"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_arrows_go_one_way(file):
    for room, target, late in arrows(file):
        if MAY[room] is EVERYTHING or target in MAY[room]:
            continue
        assert late, f"{room} must not import {target}"
        assert (room, target) in INSIDE_FUNCTIONS, f"{room} must not import {target}, not even late"


def test_nobody_imports_the_top():
    upward = {(room, target) for file in FILES for room, target, _ in arrows(file) if target in TOP}
    assert all(room in TOP for room, _ in upward), upward


def test_the_table_has_no_circle():
    left = {room: set(may or ()) & set(MAY) for room, may in MAY.items()}
    while ready := {room for room, may in left.items() if not may & set(left)}:
        left = {room: may for room, may in left.items() if room not in ready}
    assert not left


def test_no_relative_imports():
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}: {ast.unparse(node)}"


def test_outputs_load_no_model_library():
    modules = [f"dermaxai.{name}" for name in MODEL_FREE]
    check = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "rooms = ('torch', 'transformers', 'open_clip', 'timm', 'peft', 'dermaxai.encoders', "
        "'dermaxai.captioner', 'dermaxai.explain')\n"
        "print(*[name for name in rooms if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

"""What every visitor may expect of this repository, measured."""

import ast
import fnmatch
import re
import statistics
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
PACKAGE = HOME / "src" / "dermaxai"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")])
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}


def text_of(name):
    return (HOME / name).read_text(encoding="utf-8")


def functions_of(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function):
    """Lines of the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def arguments_of(function):
    given = function.args
    named = [a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    return [name for name in named if name not in ("self", "cls")]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_size_of_files_and_functions(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 350
    assert file.stem not in FORBIDDEN_NAMES
    for function in functions_of(file):
        assert body_lines(function) <= 60, function.name
        assert len(arguments_of(function)) <= 6, function.name


def test_most_functions_are_short():
    sizes = sorted(body_lines(function) for file in SOURCES for function in functions_of(file))
    assert statistics.median(sizes) <= 10
    assert sizes[int(0.9 * len(sizes))] <= 35


def test_readme_tree_is_the_tree():
    lines = text_of("README.md").split("src/dermaxai/\n", 1)[1].split("```", 1)[0].splitlines()
    told = {match[1] for line in lines if (match := re.match(r"  ([\w.]+/?) +\S", line))}
    there = {
        path.name + "/" * path.is_dir()
        for path in PACKAGE.iterdir()
        if path.name not in ("__pycache__", "py.typed") and not path.name.startswith(".")
    }
    assert told == there


def test_pages_keep_their_length():
    assert len(text_of("README.md").splitlines()) <= 200
    assert len(text_of("CONTRIBUTING.md").splitlines()) < 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(HOME).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_lock_names_versions_and_hashes_only():
    lock = text_of("requirements.lock")
    assert "://" not in lock
    assert not re.search(r"^\s*(-|#|/)(?!-hash=)", lock.replace("    --hash", ""), re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        name, *hashes = [part.strip() for part in entry.split("\\\n")]
        assert re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.]+( ; .+)?", name), name
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), name


def test_lock_holds_what_the_package_asks_for():
    locked = set(re.findall(r"^([a-z0-9.-]+)==", text_of("requirements.lock"), re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *extras["dev"], *extras["dicom"]]
    names = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in asked} - {"dermaxai"}
    assert names <= locked


def test_one_version_everywhere():
    number = PROJECT["project"]["version"]
    assert version("dermaxai") == number
    assert f"## [{number}]" in text_of("CHANGELOG.md")
    assert f"version: {number}\n" in text_of("CITATION.cff")


def test_package_stays_small():
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert sum(file.stat().st_size for file in files) < 30_000_000


def test_package_data_covers_every_file():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["dermaxai"]
    for file in PACKAGE.rglob("*"):
        name = file.relative_to(PACKAGE).as_posix()
        if file.is_file() and "__pycache__" not in name and file.suffix != ".py":
            assert any(fnmatch.fnmatch(name, pattern.replace("**/", "*")) for pattern in patterns), name


def test_importing_loads_nothing_heavy(heavy_after):
    """Seconds are measured in benchmarks/."""
    assert heavy_after("import dermaxai") == []


def test_licences_travel_with_what_they_cover():
    told = PROJECT["project"]["license-files"]
    assert told == ["LICENSE", "LICENSE-WEIGHTS.md"]
    assert all((HOME / name).is_file() for name in told)
    assert "CC BY-NC 4.0" in (PACKAGE / "demo" / "captioner" / "card.md").read_text(encoding="utf-8")


def test_the_list_of_pages_is_whole():
    listed = text_of("docs/README.md")
    for name in [page.name for page in HOME.glob("docs/*.md") if page.name != "README.md"] + ["results/"]:
        assert f"]({name})" in listed, name

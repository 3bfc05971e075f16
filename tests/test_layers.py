"""The layers of the package, read from its syntax trees: who may import whom, and what may be imported at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import hashigo

ROOT = Path(hashigo.__file__).parent

ORDER = (
    "errors", "files", "randomness", "color", "metrics", "machine",
    "image", "pages", "tasks", "networks", "models", "apply", "video", "data", "clustering", "latents", "evaluation",
    "training", "studies", "bulk", "demo", "service", "cli", "__main__", "__init__",
)  # fmt: skip
"""Every file and folder of the package. A file imports only from its own folder and from what stands before that."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "randomness": set(),
    "color": set(),
    "machine": set(),
    "metrics": {"color"},
    "image": {"errors", "files"},
    "pages": {"errors", "files", "image"},
    "tasks": {"color", "errors", "randomness"},
    "networks": {"errors"},
    "clustering": {"errors", "machine"},
}
"""Files and folders that must stay ignorant of the rest, with all that they may import from the package."""

WITH_TORCH = {
    "networks", "latents", "studies", "training", "cli.training_progress", "data.loader", "data.splitting", "clustering", "demo",
}  # fmt: skip
"""Files and folders that may import heavy packages at once."""

LIGHT = {
    "networks.__init__",
    "networks.contract", "training.__init__", "training.recipe", "studies.__init__", "studies.settings", "studies.purity.__init__",
    "studies.purity.settings", "studies.generate.__init__", "studies.generate.settings", "studies.restoration.__init__", "studies.restoration.settings",
}  # fmt: skip
"""Files of those that may not: `import hashigo` and the help of a command pass by them."""


HEAVY = {
    "torch", "lightning", "openvino", "onnx", "onnxruntime", "onnxscript", "matplotlib", "sklearn", "skimage", "scipy",
    "huggingface_hub", "safetensors", "tensorboard", "jsonargparse", "yaml",
}  # fmt: skip


class Import(NamedTuple):
    """One import: of which module, in which line, and whether it runs when the file is imported."""

    module: str
    line: int
    at_once: bool


def name_of(path: Path) -> str:
    """The dotted name within the package: "color", "data.named.mnist", "data.__init__"."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def part_of(name: str) -> str:
    """The entry of `ORDER` for a file: its own name, or that of the outermost folder it lies in."""
    return name.split(".")[0]


def place_of(name: str) -> int:
    return ORDER.index(part_of(name))


def is_light(name: str) -> bool:
    """Whether a file can be imported without torch and costs little: heavy packages only within functions."""
    return name in LIGHT or not {part_of(name), name} & WITH_TORCH


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def walk(node: ast.AST, at_once: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        now = at_once and not is_type_checking(child) and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield child, now
        yield from walk(child, now)


def imports(name: str) -> list[Import]:
    """Every import of a file, relative ones resolved; `from package import module` counts as of that module."""
    found = []
    package = ["hashigo", *name.split(".")[:-1]]
    for node, at_once in walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}".removeprefix("hashigo.")
                is_module = source.split(".")[0] == "hashigo" and (inner in FILES or f"{inner}.__init__" in FILES)
                found.append(Import(f"hashigo.{inner}" if is_module else source, node.lineno, at_once))
    return found


def inner_imports(name: str) -> Iterator[tuple[str, Import]]:
    """(imported file, import) for imports from the package itself; the package's root is "__init__"."""
    for one in imports(name):
        top, _, inner = one.module.partition(".")
        if top == "hashigo":
            yield (inner if inner in FILES else f"{inner}.__init__" if inner else "__init__"), one


def test_every_file_has_a_place() -> None:
    without = sorted({str(FILES[name].relative_to(ROOT)) for name in FILES if part_of(name) not in ORDER})
    assert not without, f"give these files a place in ORDER, and tell of them in the README's map: {', '.join(without)}"
    assert len(FILES) > 20


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_from_its_own_folder_and_those_before_it(name: str) -> None:
    for imported, one in inner_imports(name):
        assert imported in FILES, f"{name}, line {one.line}: there is no {one.module}"
        assert place_of(imported) <= place_of(name), (
            f"{name}, line {one.line}: imports {imported}, which comes after {part_of(name)}"
        )


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_nothing_imports_the_root(name: str) -> None:
    lines = [one.line for imported, one in inner_imports(name) if imported == "__init__"]
    assert not lines, f"{name} imports the package's root in lines {lines}; import the module that has the name"


def test_no_circles() -> None:
    graph = {name: {imported for imported, _ in inner_imports(name)} - {"__init__"} for name in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' → '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for imported in sorted(graph[name] - {name}):
                visit(imported, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_circles_between_folders() -> None:
    """A folder within another, such as `data/named`, counts by itself; it and the one that holds it may know each other."""

    def folder_of(name: str) -> str:
        return name.rpartition(".")[0] or name

    graph: dict[str, set[str]] = {}
    for name in FILES:
        here = folder_of(name)
        others = {folder_of(imported) for imported, _ in inner_imports(name) if imported != "__init__"} - {here}
        unrelated = {one for one in others if not (one.startswith(f"{here}.") or here.startswith(f"{one}."))}
        graph.setdefault(here, set()).update(unrelated)

    def visit(folder: str, path: tuple[str, ...]) -> None:
        assert folder not in path, f"a circle of folders: {' → '.join((*path[path.index(folder) :], folder))}"
        for imported in sorted(graph.get(folder, ())):
            visit(imported, (*path, folder))

    for folder in graph:
        visit(folder, ())


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_the_ignorant_stay_ignorant(part: str) -> None:
    members = [name for name in FILES if part_of(name) == part]
    assert members
    for name in members:
        known = {part_of(imported) for imported, _ in inner_imports(name)} - {part}
        assert known <= MAY_IMPORT[part], f"{name} imports {', '.join(sorted(known - MAY_IMPORT[part]))}"


def test_the_service_does_not_know_the_command_line() -> None:
    for name in FILES:
        known = {part_of(imported) for imported, _ in inner_imports(name)}
        assert part_of(name) != "service" or "cli" not in known, name
        assert part_of(name) != "cli" or name == "cli.serve" or "service" not in known, name


@pytest.mark.parametrize("name", [name for name in FILES if is_light(name)])
def test_nothing_heavy_is_imported_at_once(name: str) -> None:
    for one in imports(name):
        package = one.module.split(".")[0]
        assert not (one.at_once and package in HEAVY), (
            f"{name}, line {one.line}: imports {package} at once; do it within the function that needs it"
        )
    torch_files = [imported for imported, one in inner_imports(name) if one.at_once and not is_light(imported)]
    assert not torch_files, f"{name} imports {', '.join(torch_files)} at once, which may import torch"


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) != "cli"])
def test_only_the_command_line_prints(name: str) -> None:
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls, f"{name} prints in lines {calls}"


@pytest.mark.parametrize("name", FILES)
def test_no_assert_on_what_users_give(name: str) -> None:
    lines = [
        n.lineno for n in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))) if isinstance(n, ast.Assert)
    ]
    assert not lines, f"{name} asserts in lines {lines}: raise an error of hashigo.errors, which says what to do"


# --- the checks themselves can fail ------------------------------------------------------------------------


def check_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    (tmp_path / "file.py").write_text(source, encoding="utf-8")
    monkeypatch.setitem(FILES, name, tmp_path / "file.py")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("color", "def f():\n    from hashigo.models import load_network\n"),
        ("data.named.mnist", "from ... import training\n"),
        ("metrics", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hashigo.apply.jobs\n"),
    ],
)
def test_an_upward_import_is_found(name: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_source(tmp_path, monkeypatch, name, source)
    with pytest.raises(AssertionError, match="comes after"):
        test_a_file_imports_only_from_its_own_folder_and_those_before_it(name)


def test_torch_at_once_a_circle_and_the_root_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "try:\n    import torch.nn\nexcept ImportError:\n    pass\nfrom hashigo import load\nfrom hashigo.image import photo\n"
    check_source(tmp_path, monkeypatch, "image.encode", source)
    with pytest.raises(AssertionError, match="imports torch at once"):
        test_nothing_heavy_is_imported_at_once("image.encode")
    with pytest.raises(AssertionError, match=r"image\.encode → image\.photo|image\.photo → image\.encode"):
        test_no_circles()
    with pytest.raises(AssertionError, match="root"):
        test_nothing_imports_the_root("image.encode")


def test_a_circle_of_folders_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_source(tmp_path, monkeypatch, "networks.unet", "from hashigo.models.folder import BUNDLED\n")
    with pytest.raises(AssertionError, match=r"a circle of folders: .*networks"):
        test_no_circles_between_folders()


def test_a_file_without_a_place_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "novelty", ROOT / "novelty.py")
    with pytest.raises(AssertionError, match=r"novelty\.py"):
        test_every_file_has_a_place()

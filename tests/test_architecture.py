"""The layers point one way and in no circle, records reach the report without torch, packages are this checkout's."""

import ast
import subprocess
import sys
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {"dpn": {"dpn"}, "bench": {"dpn", "bench"}, "analysis": {"dpn", "bench", "analysis"}}
OURS = set(MAY_IMPORT)

TORCH_FREE = (
    "dpn.spec", "dpn.zoo", "dpn.dilation", "dpn.skeletons", "dpn.networks.part_affinity", "dpn.protocols",
    "dpn.network_names", "dpn.released", "dpn.scoring", "dpn.evaluation", "dpn.drawing", "dpn.data.opening",
    "dpn.data.check", "dpn.contact_sheet", "dpn.data.crops", "dpn.data.augment", "dpn.data.synthetic_files",
    "dpn.metrics.coco", "dpn.metrics.pckh", "dpn.verbs.sheet", "dpn.verbs.export", "dpn.verbs.sweep",
    "dpn.training.recipes", "dpn.training.order", "dpn.training.folder", "dpn.training.options", "dpn.__main__",
    "bench.records.record", "bench.records.store", "bench.records.reported", "bench.counts.conventions",
    "bench.suite", "bench.subject", "bench.machine.environment", "bench.counts.live_taps", "bench.cell",
    "bench.sweeps.pool", "bench.sweeps.sweep", "bench.worker", "bench.verbs.compare", "bench.verbs.duel",
    "bench.api", "analysis.evidence", "analysis.catalogue.tables", "analysis.claims.audit",
    "analysis.explorer.explore_fields", "analysis.outlets.explorer_page", "analysis.verbs.gridding",
    "analysis.verbs.receptive_field", "analysis.verbs.erf", "analysis.effective_fields.erf_records",
    "analysis.effective_fields.erf_expected", "analysis.catalogue.figures", "analysis.outlets.publish",
    "analysis.outlets.report", "analysis.__main__",
)  # fmt: skip


def imports(source: str) -> set[str]:
    """First components of every module that the source imports, at whatever depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def upward(package: str, source: str) -> set[str]:
    """Packages of this project that a module of `package` must not import and does."""
    return (imports(source) & OURS) - MAY_IMPORT[package]


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_point_downward(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    assert {str(path): found for path in modules if (found := upward(package, path.read_text()))} == {}


def test_an_upward_import_is_found() -> None:
    assert upward("dpn", "def f():\n    from bench.records.store import Store\n") == {"bench"}
    assert upward("bench", "import analysis.catalogue.tables as t") == {"analysis"}
    assert upward("analysis", "import bench, dpn") == set()


def imported(source: str, known: Set[str]) -> set[str]:
    """Modules among the known that the source imports, at whatever depth, except for annotations alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        waiting.extend(ast.iter_child_nodes(node))
    return found & known


def graph() -> dict[str, set[str]]:
    """Which modules each module of the project imports."""
    files = {path.relative_to(ROOT).with_suffix(""): path for name in OURS for path in (ROOT / name).rglob("*.py")}
    sources = {".".join(place.parts).removesuffix(".__init__"): path.read_text() for place, path in files.items()}
    assert len(sources) > 300
    return {name: imported(text, set(sources)) for name, text in sources.items()}


def folders(modules: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """As a graph of modules, with each folder below a package in the place of what lies in it."""
    found: dict[str, set[str]] = {}
    for name, used in modules.items():
        found.setdefault(folder_of(name), set()).update(set(map(folder_of, used)) - {folder_of(name)})
    return found


def folder_of(module: str) -> str:
    return module if module.count(".") < 2 else module.rpartition(".")[0]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Lazy imports count too: a circle that is only not seen while the program starts is a circle."""
    list(TopologicalSorter(graph()).static_order())


def test_no_folders_import_each_other_in_a_circle() -> None:
    """So that one can be read, moved or replaced without the others."""
    list(TopologicalSorter(folders(graph())).static_order())


def test_a_circle_of_folders_is_found() -> None:
    modules = {"bench.a.one": {"bench.b.one"}, "bench.b.one": set[str](), "bench.b.two": {"bench.a.two"}}
    list(TopologicalSorter(modules).static_order())
    assert folders({"bench.a.one": {"bench.a.two", "bench.c"}}) == {"bench.a": {"bench.c"}}
    with pytest.raises(CycleError):
        TopologicalSorter(folders(modules)).prepare()


def test_a_circle_of_lazy_imports_is_found() -> None:
    sources = {
        "bench.a": "def f():\n    from bench import b\n",
        "bench.b": "import bench.c",
        "bench.c": "from bench.a import f",
        "bench.d": "if TYPE_CHECKING:\n    from bench.d import g\n",
    }
    graph = {name: imported(text, set(sources)) for name, text in sources.items()}
    assert graph["bench.d"] == set()
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def torch_after(*modules: str) -> bool:
    """Whether torch is loaded in a fresh interpreter after importing these modules."""
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip() == "True"


def test_records_reach_the_report_without_torch() -> None:
    assert not torch_after(*TORCH_FREE)


def test_torch_would_be_noticed() -> None:
    assert torch_after("dpn.build")


@pytest.mark.parametrize("package", sorted(OURS))
def test_packages_come_from_this_checkout(package: str, tmp_path: Path) -> None:
    code = f"import {package}; print({package}.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(done.stdout.strip()) == ROOT / package / "__init__.py"


@pytest.mark.parametrize("package", sorted(OURS))
def test_package_files_are_a_docstring_only(package: str) -> None:
    (statement,) = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert isinstance(statement, ast.Expr)


def test_checkpoints_are_loaded_as_weights_only() -> None:
    """Every `torch.load` of the project refuses code in the file."""
    for path in (path for package in OURS for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", path

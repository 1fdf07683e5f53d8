"""The layout and the floors: what may import what, and what must cost nothing to import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from data_foundry.config import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "data_foundry"
SCRIPTS = sorted(PROJECT_ROOT.glob("phase*-*/*.py"))

# A module imports only from floors below its own. A module named with its package stands lower than the package does.
FLOORS = [
    {"client", "errors", "figures", "mistakes", "section", "bundled"},
    {"records"},
    {"adapter_name"},
    {"training_config", "telephony_settings", "serving_settings", "preprocessing.loudness"},
    {"config"},
    {"lake", "report", "hub"},
    {"compute", "endings"},
    {"dataset_entry", "dataset_registry", "engines", "telephony"},
    {"licence_terms"},
    {"ingestion", "preprocessing", "allocation", "finetuning"},
    {"cli", "serving", "export", "lineage"},
    {"commands"},
    {"__main__"},
]


# Leaves without imports of their own, which anyone may use: scores, splits and ratios must all mean the same text.
LEAVES = {"", "preprocessing", "preprocessing.text", "preprocessing.text_rules"}


def floor_of(module: str) -> int:
    """Return the floor of "data_foundry.x.y", which is that of x."""
    name = module.removeprefix("data_foundry").lstrip(".")
    if name in LEAVES:
        return 0
    for level, floor in enumerate(FLOORS):
        if name in floor or name.split(".")[0] in floor:
            return level
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS")


def imports_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("data_foundry")}
    return {name for name in found if name.split(".")[0] == "data_foundry"}


def module_of(file: Path) -> str:
    name = ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = PROJECT_ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_floors_below_it(file):
    module = module_of(file)
    own = module.split(".")[1] if "." in module else ""
    for imported in imports_of(file):
        if not is_module(imported) or imported == "data_foundry":
            continue
        other = imported.split(".")[1]
        same_package = own and other == own
        same_floor_ok = own in {"hub", "lake", "report", "engines", "dataset_registry"} and other != own
        if same_package:
            continue
        limit = floor_of(module) if same_floor_ok else floor_of(module) - 1
        assert floor_of(imported) <= limit, f"{module} imports {imported}, which stands on its own floor or above"


def test_every_script_imports_the_command_line_and_its_own_phase_only():
    assert len(SCRIPTS) == 4
    packages = {"phase1": {"ingestion"}, "phase2": {"preprocessing"}, "phase3": {"allocation"}, "phase4": {"serving"}}
    for script in SCRIPTS:
        allowed = packages[script.parent.name.split("-")[0]] | {"cli"}
        used = {name.split(".")[1] for name in imports_of(script) if "." in name}
        assert used <= allowed, script


def test_scripts_are_thin_and_define_no_class():
    for script in SCRIPTS:
        tree = ast.parse(script.read_text(encoding="utf-8"))
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 60, script
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)], script
        assert ast.get_docstring(tree), script


@pytest.mark.parametrize("folder", ["data_foundry", "phase1-ingestion", "phase2-preprocessing", "phase3-allocation",
                                    "phase4-finetuning", "sample", "tests", "benchmarks"])  # fmt: skip
def test_no_file_edits_the_import_path_or_reads_like_a_library(folder):
    libraries = {"datasets.py", "evaluate.py", "transformers.py", "torch.py", "peft.py"}
    for file in (PROJECT_ROOT / folder).rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "sys.path." + "insert" not in text and "sys.path." + "append" not in text, file
        if folder.startswith("phase"):
            assert file.name not in libraries, file


HEAVY = {"torch", "transformers", "datasets", "librosa", "peft", "pyarrow", "huggingface_hub", "numpy", "soundfile"}


@pytest.mark.parametrize("flags", [["--help"], ["--dry-run", "--profile", "sample"]], ids=["help", "dry-run"])
@pytest.mark.parametrize("script", ["run_data_foundry.py", *(str(s.relative_to(PROJECT_ROOT)) for s in SCRIPTS)])
def test_help_and_dry_run_import_nothing_heavy(script, flags, tmp_path):
    program = (
        "import runpy, sys\n"
        f"sys.argv = {[str(PROJECT_ROOT / script), *flags, '--base-path', str(tmp_path)]!r}\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        f"loaded = {HEAVY!r} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
    assert not list(tmp_path.iterdir()), "a preview wrote something"


def test_heavy_libraries_are_imported_inside_the_functions_that_need_them():
    heavy = HEAVY - {"pyarrow", "numpy", "soundfile"}
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & heavy, f"{file}: {names}"


def test_the_missions_top_level_is_there():
    for name in (
        "run_data_foundry.py", "requirements.txt", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",
        "Makefile", "config/data_foundry_config.json", "config/sample.json", ".ci/run",
        "phase1-ingestion/ingest_hf_data.py",
        "phase2-preprocessing/standardize_data.py", "phase3-allocation/allocate_datasets.py",
        "phase4-finetuning/train_deploy_models.py", "storage/sample-hub",
    ):  # fmt: skip
        assert (PROJECT_ROOT / name).exists(), name

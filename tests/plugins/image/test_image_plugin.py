"""The plugin's description: light to import, complete, and without private imports from the core."""

import ast
import subprocess
import sys
from pathlib import Path

import ddmi_image
from ddmi_image.plugin import IMAGE, ddmi_domains

PACKAGE = Path(ddmi_image.__file__).parent
PUBLIC = ("ddmi_core.api", "ddmi_core.errors", "ddmi_core.parts")


def test_description_imports_no_torch():
    program = "import sys, ddmi_image.plugin; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_part_that_it_names_exists():
    for reference in [
        IMAGE.settings,
        IMAGE.encoder,
        IMAGE.decoder,
        IMAGE.sampler,
        IMAGE.renderer,
        IMAGE.describe,
        IMAGE.describe_signal,
        IMAGE.views,
        IMAGE.read,
        IMAGE.picture,
        IMAGE.original,
        *IMAGE.sources.values(),
        *IMAGE.metrics.values(),
        *IMAGE.exporters.values(),
    ]:
        assert callable(IMAGE.resolve(reference)), reference
    assert IMAGE.default_source in IMAGE.sources


def test_hook_gives_the_domain():
    assert ddmi_domains() == [IMAGE]


def test_only_public_names_of_the_core_are_imported():
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith("ddmi_core") or name in PUBLIC, f"{path.name} imports {name}"

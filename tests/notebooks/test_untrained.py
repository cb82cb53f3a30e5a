"""What a lesson claims of a trained network must be false of an untrained one.

Each lesson is executed with a learning rate of zero; every cell tagged ``trained`` must then fail.
"""

import jupytext
import nbformat
from lesson import Lesson, tags
from nbclient import NotebookClient

from booktools.environment import execution_environment

NO_LEARNING = """
import aelib.training
aelib.training.learning_rate_at = lambda *arguments, **settings: 0.0
"""


def test_claims_fail_without_training(lesson: Lesson):
    notebook = jupytext.read(lesson.path, fmt="md:myst")
    trained = [cell for cell in notebook.cells if "trained" in tags(cell)]
    assert trained or ".fit(" not in lesson.text, (
        "a lesson that trains claims something of the trained network"
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell(NO_LEARNING))
    folder = {"metadata": {"path": str(lesson.path.parent)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, resources=folder)
    client.execute(env=execution_environment("reference", "torch"))
    for cell in trained:
        errors = [output.ename for output in cell.outputs if output.output_type == "error"]
        assert errors == ["AssertionError"], f"{errors or 'nothing failed'} in\n{cell.source}"

"""Put the executed copies of a fast run in place of the committed notebooks, without what differs from run to run."""

import sys
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1]
EXECUTED = NOTEBOOKS.parent / "results" / "fast" / "notebooks"


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip timing and papermill's metadata; refuse errors, stderr, injected cells and counts other than 1..n.

    Raises:
        ValueError: the copy is not one to commit; the message says why.
    """
    notebook.metadata = nbformat.NotebookNode(
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        language_info={"name": "python"})
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        raise ValueError("its cells were not run 1..n in order")
    for cell in notebook.cells:
        tags = list(cell.metadata.get("tags", ()))
        if "injected-parameters" in tags:
            raise ValueError("it was run with parameters of its own")
        cell.metadata = nbformat.NotebookNode({"tags": tags} if tags else {})
    for cell in code:
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                raise ValueError(f"cell {cell.execution_count} wrote an error or to stderr")
            output.get("metadata", {}).pop("papermill", None)
    return notebook


def main() -> int:
    """Publish every notebook, or none where one is not fit; return the exit status."""
    ready: dict[Path, nbformat.NotebookNode] = {}
    for source in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        executed = EXECUTED / source.name
        if not executed.is_file():
            print(f"{source.name}: no executed copy; run `make notebooks`", file=sys.stderr)
            return 1
        try:
            ready[source] = clean(nbformat.read(executed, as_version=4))
        except ValueError as error:
            print(f"{source.name}: {error}", file=sys.stderr)
            return 1
    for source, notebook in ready.items():
        nbformat.write(notebook, source)
        print(f"{source.name}: {source.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

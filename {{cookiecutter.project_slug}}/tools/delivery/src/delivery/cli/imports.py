"""`delivery bootstrap --imports`."""

from pathlib import Path

from delivery.bootstrap.imports import imports_of, require_stack
from delivery.bootstrap.needs import Needs
from delivery.cli.options import Output
from delivery.cli.output import progress, write_result
from delivery.errors import DeliveryError, Exit


def check_imports(root: Path, target: str, is_changing: bool) -> None:
    """Whether imports can be printed.

    Raises:
        DeliveryError: another option changes something, or the project has no stack of the target.
    """
    if is_changing:
        raise DeliveryError("--imports: expected without --apply and --commands: it only reads")
    require_stack(root, target)


def show_imports(needs: Needs, output: Output) -> Exit:
    """Print what is there as import blocks; tell what is not visible."""
    things = [step.examine() for step in needs.steps()]
    found = [*imports_of(needs, things)]
    if output is Output.JSON:
        document = {"imports": [{"to": one.to, "id": one.id} for one in found]}
        write_result(output, document, "")
    else:
        print("\n".join(one.block for one in found), end="")
    hidden = [thing for thing in things if thing.state == "hidden"]
    for thing in hidden:
        progress(f"{thing.name}: {thing.message}")
    return Exit.BAD_INPUT if hidden else Exit.DONE

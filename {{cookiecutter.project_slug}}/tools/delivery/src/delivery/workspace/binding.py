"""Bind resources to keys of a bundle and unbind them, without creating or deleting anything."""

import contextlib
from collections.abc import Iterator

from delivery.config.includes import add_include
from delivery.workspace.bundle_cli import BundleCli, CliError


def rebind(cli: BundleCli, key: str, resource_id: str, instead_of: str) -> None:
    """Bind a resource to a key, and unbind it from `instead_of` first if that is not empty.

    If the new binding fails, the old one is restored.
    """
    name = key.partition(".")[2]
    if not instead_of:
        cli.bind(name, resource_id)
        return
    with _temporarily_declared(cli, instead_of) as old:
        cli.unbind(old)
    try:
        cli.bind(name, resource_id)
    except CliError:
        with _temporarily_declared(cli, instead_of) as old:
            cli.bind(old, resource_id)
        raise


def unbind(cli: BundleCli, key: str, earlier: str, resource_id: str) -> None:
    """Unbind a resource from a key, and bind it to its earlier key again if it had one."""
    if earlier:
        rebind(cli, earlier, resource_id, key)
        return
    with _temporarily_declared(cli, key) as name:
        cli.unbind(name)
    if cli.workspace and key.startswith("jobs."):
        cli.workspace.detach_from_bundle(int(resource_id))


@contextlib.contextmanager
def _temporarily_declared(cli: BundleCli, key: str) -> Iterator[str]:
    """Declare a key that the release no longer has: the CLI binds and unbinds declared keys only.

    Yields:
        The key's name.
    """
    kind, _, name = key.partition(".")
    file = add_include(cli.folder, {"resources": {kind: {name: {"name": name}}}})
    try:
        yield name
    finally:
        file.unlink()

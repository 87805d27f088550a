"""Serves an emulated workspace until it is stopped: `python -m workspace`."""

import argparse
import threading

from .server import Workspace


def main() -> None:
    """Prints the URL and the tokens, then serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--catalog", action="append", default=[], help="the deployer may use it")
    arguments = parser.parse_args()
    with Workspace(port=arguments.port) as workspace:
        for name in arguments.catalog:
            workspace.add_catalog(name, creators=["deployer"])
        print(workspace.url, flush=True)
        for name, identity in workspace.identities.all.items():
            print(f"{name} {identity.principal} {workspace.token(name)}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

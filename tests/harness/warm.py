"""Programs that start warm: one process imports the libraries, and forks for each command.

A test types the tool's commands by the hundred, and each of them starts the CLI four times; most of
the time of a start goes to imports that are always the same. The tool's own modules are among
them where every file of the checkout's tool is that of the template; another tool is imported from
the checkout, and only what Python compiled of it is shared, between files of the same content.
Whoever is killed takes its fork along: a client, such as the CLI of a killed tool, or the fork.

`warm.py serve SOCKET` is the server. `warm.py run SOCKET MODULE ARGUMENTS…` is a program: it hands
its streams, folder and environment to the server, and ends as the fork ended.
"""

import _socket
import array
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = ("pydantic", "rich.console", "rich.markup", "rich.table", "yaml", "requests")
_INT = 4
_KILLED = 137
_MEASURED = "COVERAGE_CONFIG"  # `make coverage` sets it
_HARNESS = os.path.dirname(os.path.abspath(__file__))
_TOOL = os.path.normpath(
    os.path.join(_HARNESS, "../../{{cookiecutter.project_slug}}/tools/delivery/src")
)


def ask(address: str, module: str, arguments: list[str], cwd: str, env: dict[str, str],
        streams: tuple[int, int, int], timeout: float | None = None) -> int:  # fmt: skip
    """Run a module as a program, in a fork of the server.

    Args:
        address: the server's socket.
        streams: the descriptors of its input, output and errors.
        timeout: after so many seconds it is killed.

    Returns:
        Its exit code.

    Raises:
        TimeoutError: it took too long.
    """
    connection = _connected(address, module, arguments, cwd, env, streams)
    connection.settimeout(timeout)
    connection.recv(_INT)
    code = connection.recv(1)
    connection.close()
    return code[0] if code else _KILLED


def _connected(address: str, module: str, arguments: list[str], cwd: str, env: dict[str, str],
               streams: tuple[int, int, int]) -> _socket.socket:  # fmt: skip
    """A connection to a fork, which sends its process id at its start, and its exit code."""
    message = marshal.dumps((module, arguments, cwd, env))
    with_streams = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", streams))]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(address)
    connection.sendmsg([len(message).to_bytes(_INT, "big")], with_streams)
    while message:
        message = message[connection.send(message) :]
    return connection


_SERVERS: list[tuple[str, int]] = []  # the one of this process, once it is started


def server() -> str:
    """The address of this process's server; it ends with this process."""
    import atexit
    import shutil
    import subprocess
    import tempfile
    import time

    if not _SERVERS:
        folder = tempfile.mkdtemp(prefix="warm-")
        address = os.path.join(folder, "socket")
        process = subprocess.Popen(
            [sys.executable, __file__, "serve", address], env=_surroundings()
        )
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(process.kill)
        while not os.path.exists(address):
            assert process.poll() is None, "the server of warm programs did not start"
            time.sleep(0.01)
        _SERVERS.append((address, process.pid))
    return _SERVERS[0][0]


def running() -> set[int]:
    """The forks that have not ended: one whose program was killed ends a moment later."""
    return {fork for _, process in _SERVERS for fork in children(process)}


def children(process: int) -> set[int]:
    """What the threads of a process have started; no program is asked, as this is often asked."""
    import contextlib
    from pathlib import Path

    found: set[int] = set()
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found |= {int(number) for number in thread.read_text().split()}
    return found


def _surroundings() -> dict[str, str]:
    sources = (_TOOL, os.path.dirname(_HARNESS))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sources),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: os.environ[name] for name in (_MEASURED, "COVERAGE_HOME") if name in os.environ},
    }


def program(module: str) -> str:
    """The command of a shell that runs a module as a program, with the arguments that it got."""
    import py_compile
    import shlex

    address = server()
    client = os.path.join(os.path.dirname(address), "client.pyc")  # a script is compiled each time
    if not os.path.exists(client):
        py_compile.compile(__file__, cfile=client, doraise=True)
    words = (sys.executable, "-IS", client, "run", address, module)
    return f'exec {shlex.join(words)} "$@"'


class Started:
    """A module that runs as a program; it is used as `subprocess.Popen` is."""

    def __init__(self, module: str, arguments: list[str], cwd: str, env: dict[str, str]) -> None:
        import tempfile

        self._ended: int | None = None
        self._outputs = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
        with open(os.devnull) as none:
            out, err = (output.fileno() for output in self._outputs)
            streams = (none.fileno(), out, err)
            self._connection = _connected(server(), module, arguments, cwd, env, streams)
        self.pid = int.from_bytes(self._connection.recv(_INT), "big")

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, after its end."""
        if self._ended is None:
            self._connection.settimeout(timeout)
            code = self._connection.recv(1)
            self._connection.close()
            self._ended = code[0] if code else _KILLED
        return self._ended

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; gives its output and errors."""
        self.wait(timeout)
        texts = []
        for output in self._outputs:
            output.seek(0)
            texts.append(output.read().decode())
            output.close()
        return texts[0], texts[1]

    def kill(self) -> None:
        """End it at once."""
        import contextlib
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def _serve(address: str) -> None:
    import gc
    import importlib
    import signal
    import socket

    for name in LIBRARIES:
        importlib.import_module(name)
    _import_of_the_tool()
    _compile_the_tool()
    gc.freeze()  # a fork does not look for garbage here, which would copy the memory that is shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for forks: they tell by themselves
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"{address}.new")
    server.listen(64)
    os.rename(f"{address}.new", address)  # whoever sees it can connect
    parent = os.getppid()
    server.settimeout(5)
    while os.getppid() == parent:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            server.close()
            _become(connection)
        connection.close()


def _import_of_the_tool() -> None:
    """The tool, the fake CLI, and what they import of others."""
    import importlib

    app = importlib.import_module("delivery.cli.app")
    importlib.import_module("typer.main").get_command(app.build_app())  # all commands
    for name in ("delivery.workspace.sdk", "fake_cli.cli"):
        importlib.import_module(name)
    # Commands look at their streams when they are imported, and runs at the clock; coverage
    # measures imports, too.
    for package in (
        ("delivery",) if os.environ.get(_MEASURED) else ("delivery.cli", "delivery.local")
    ):
        _forget(package)
    _TEMPLATE_S.update(_files(os.path.join(_TOOL, "delivery")))


_TEMPLATE_S: dict[str, bytes] = {}  # the files of the tool that is imported


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
        del sys.modules[name]


def _files(folder: str) -> "Iterator[tuple[str, bytes]]":
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            file = os.path.join(place, name)
            with open(file, "rb") as opened:
                yield os.path.relpath(file, folder), opened.read()


def _adapt_the_tool() -> None:
    """Forget the imported tool if the checkout has another one; make it that of this process."""
    import uuid

    packages = (os.path.join(entry, "delivery") for entry in sys.path)
    package = next((one for one in packages if os.path.isdir(one)), "")
    if dict(_files(package)) != _TEMPLATE_S:
        _forget("delivery")
    own = uuid.uuid4().hex
    for name in [name for name in sys.modules if name.startswith("delivery.")]:
        if hasattr(sys.modules[name], "PROCESS_FOLDER"):  # chosen once a process
            sys.modules[name].PROCESS_FOLDER = own  # type: ignore[attr-defined]


def _compile_the_tool() -> None:
    """Compile the tool once: every checkout is at a new path, and would be compiled again."""
    import _imp
    from importlib.machinery import SourceFileLoader
    from types import CodeType

    compiled: dict[bytes, CodeType] = {}
    for folder, _, names in os.walk(_TOOL):
        for name in names:
            if name.endswith(".py"):
                file = os.path.join(folder, name)
                with open(file, "rb") as opened:
                    source = opened.read()
                compiled[source] = compile(source, file, "exec", dont_inherit=True)
    as_usual = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> "CodeType | None":
        path = loader.get_filename(fullname)
        code = compiled.get(loader.get_data(path))
        if code is None:
            return as_usual(loader, fullname)
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
        return code

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def _become(connection: "_socket.socket") -> None:
    """Be the program that was asked for, and end with it."""
    import signal
    import threading

    connection.settimeout(None)
    connection.send(os.getpid().to_bytes(_INT, "big"))
    head, streams, _, _ = connection.recvmsg(_INT, 64)
    descriptors = array.array("i")
    descriptors.frombytes(streams[0][2])
    message, size = b"", int.from_bytes(head, "big")
    while len(message) < size:
        message += connection.recv(size - len(message))
    module, arguments, cwd, env = marshal.loads(message)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    code = _run(module, arguments, cwd, env)
    connection.send(bytes([code & 0xFF]))
    os._exit(code)


def _end_with(connection: "_socket.socket") -> None:
    """Whoever started it was killed: so is this."""
    import signal

    if not connection.recv(1):
        os.kill(os.getpid(), signal.SIGKILL)


def _measure() -> "Callable[[], None]":
    """Measure the lines that run, where that is wanted; what it returns saves them."""
    config = os.environ.get(_MEASURED)
    if not config:
        return lambda: None
    import coverage

    measured = coverage.Coverage(config_file=config, data_suffix=True)
    measured.start()

    def save() -> None:
        measured.stop()
        measured.save()

    return save


def _run(module: str, arguments: list[str], cwd: str, env: dict[str, str]) -> int:
    """What `python -m` does."""
    import atexit
    import contextlib
    import random
    import runpy
    import threading
    import traceback

    save_coverage = _measure()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    random.seed()
    sys.pycache_prefix = env.get("PYTHONPYCACHEPREFIX") or None
    # It may be the template's own tool, and nothing is left in the template's folders.
    sys.dont_write_bytecode = not sys.pycache_prefix or bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [module, *arguments]
    if module == "delivery":
        _adapt_the_tool()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code: object = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # as Python itself tells it
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    save_coverage()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    verb, where, *rest = sys.argv[1:]
    if verb == "serve":
        _serve(where)
    else:
        sys.exit(ask(where, rest[0], rest[1:], os.getcwd(), dict(os.environ), (0, 1, 2)))

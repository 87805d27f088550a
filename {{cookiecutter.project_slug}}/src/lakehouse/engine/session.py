"""The Spark session, wherever the code runs."""

import functools
import importlib.util
import os
from enum import StrEnum

from pyspark.sql import SparkSession


class Engine(StrEnum):
    """Where Spark runs."""

    EMBEDDED = "embedded"  # Sail, in this process: needs only Python packages
    JVM = "jvm"  # Spark with Delta on a local JVM, for the parity tests
    CONNECT = "connect"  # a Databricks workspace, through databricks-connect
    CLUSTER = "cluster"  # this process runs on Databricks


def current_engine() -> Engine:
    """Where Spark runs: `LAKEHOUSE_ENGINE`, otherwise detected from the environment.

    Raises:
        ValueError: `LAKEHOUSE_ENGINE` is not the name of an engine.
    """
    named = os.environ.get("LAKEHOUSE_ENGINE")
    if named:
        return _named(named)
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return Engine.CLUSTER
    return Engine.CONNECT if _has_databricks_connect() else Engine.EMBEDDED


@functools.cache
def session(engine: Engine) -> SparkSession:
    """The one session of this process on `engine`, in UTC."""
    spark = STARTERS[engine]()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


def _named(name: str) -> Engine:
    try:
        return Engine(name)
    except ValueError:
        known = ", ".join(Engine)
        raise ValueError(
            f"LAKEHOUSE_ENGINE: given {name!r}, expected one of {known}; example: embedded"
        ) from None


def _has_databricks_connect() -> bool:
    try:
        return importlib.util.find_spec("databricks.connect") is not None
    except ModuleNotFoundError:
        return False


_DELTA = "io.delta:delta-spark_2.13:4.0.0"  # matches Spark in tests/parity/requirements.txt

# A server that is only a local variable is garbage-collected, and its client then hangs silently.
_SERVERS: list[object] = []


def _embedded() -> SparkSession:
    os.environ.setdefault("RUST_LOG", "error")  # read once, when pysail is imported
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _SERVERS.append(server)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    # Its errors do not say where a column was made; to note that costs more than a small query.
    spark.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
    # Inside a process no connection is lost.
    spark.client.disable_reattachable_execute()  # type: ignore[operator]
    return spark


def _jvm() -> SparkSession:
    settings = {
        "spark.jars.packages": os.environ.get("LAKEHOUSE_JVM_PACKAGES", _DELTA),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": "4",  # the data is small; 200 would only add overhead
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _connect() -> SparkSession:
    from databricks.connect import DatabricksSession

    spark: SparkSession = DatabricksSession.builder.getOrCreate()
    return spark


def _cluster() -> SparkSession:
    return SparkSession.builder.getOrCreate()


STARTERS = {
    Engine.EMBEDDED: _embedded,
    Engine.JVM: _jvm,
    Engine.CONNECT: _connect,
    Engine.CLUSTER: _cluster,
}

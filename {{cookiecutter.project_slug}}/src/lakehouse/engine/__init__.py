"""One Spark session and one table API, on a laptop, through databricks-connect and on a cluster.

Only this package depends on where the code runs.
"""

from lakehouse.engine.ingest import Ingested
from lakehouse.engine.report import Change, Report
from lakehouse.engine.session import Engine, current_engine, session
from lakehouse.engine.tables import Tables

__all__ = ["Change", "Engine", "Ingested", "Report", "Tables", "current_engine", "session"]

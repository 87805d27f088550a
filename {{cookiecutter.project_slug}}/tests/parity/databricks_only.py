"""What only Databricks has, as open-source Spark can do it, so that `make parity` runs pipelines.

Auto Loader is a stream of files, and rescues no data. Expectations are filters. AUTO CDC is a
stream of changes and the newest of each key: Spark's own needs tables with row-level operations.

Sources: https://spark.apache.org/docs/latest/declarative-pipelines-programming-guide.html,
https://docs.databricks.com/aws/en/ldp/expectations
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.connect.streaming.readwriter import DataStreamReader

CHANGES = "_changes"  # the end of the name of a table that only these tests have
Query = Callable[[], DataFrame]
Rules = Mapping[str, str]

_format = DataStreamReader.format
_create_streaming_table = dp.create_streaming_table
_DECLARED: dict[str, dict[str, Any]] = {}  # streaming tables that have no flow yet


class AutoLoader:
    """`spark.readStream.format("cloudFiles")`."""

    def __init__(self, reader: DataStreamReader) -> None:
        self._reader = reader
        self._options: dict[str, Any] = {}

    def option(self, name: str, value: Any) -> "AutoLoader":
        return self.options(**{name: value})

    def options(self, **options: Any) -> "AutoLoader":
        self._options |= options
        return self

    def schema(self, schema: Any) -> "AutoLoader":
        self._reader.schema(schema)
        return self

    def load(self, path: str) -> DataFrame:
        rescued = self._options.pop("rescuedDataColumn", "")
        reader = _format(self._reader, self._options.pop("cloudFiles.format"))
        own = {k: v for k, v in self._options.items() if not k.startswith("cloudFiles.")}
        rows = reader.options(**own).load(path)
        return rows.withColumn(rescued, F.lit(None).cast("string")) if rescued else rows


def install() -> None:
    """Put all of it into `pyspark`, before a pipeline is imported."""
    DataStreamReader.format = lambda reader, source: (
        AutoLoader(reader) if source == "cloudFiles" else _format(reader, source)
    )
    dp.create_streaming_table = create_streaming_table
    dp.create_auto_cdc_flow = create_auto_cdc_flow
    for name, keep in {"": warned, "_or_drop": dropped, "_or_fail": failed}.items():
        setattr(dp, f"expect{name}", lambda rule, condition, k=keep: _checked(k, {rule: condition}))
        setattr(dp, f"expect_all{name}", lambda rules, k=keep: _checked(k, rules))


def create_streaming_table(name: str, **options: Any) -> None:
    """Declare a table; it is created with its flow."""
    _DECLARED[name] = options


def create_auto_cdc_flow(
    target: str,
    source: str,
    keys: Sequence[str],
    sequence_by: str,
    except_column_list: Sequence[str] = (),
    stored_as_scd_type: int | str = 1,
    **others: Any,
) -> None:
    """Keep the row of each key that has the highest sequence.

    Raises:
        NotImplementedError: the flow uses more than this.
    """
    if others or str(stored_as_scd_type) != "1":
        given = ", ".join([*others, f"stored_as_scd_type={stored_as_scd_type}"])
        raise NotImplementedError(f"AUTO CDC: given {given}, which runs in a workspace only")
    options = _DECLARED.pop(target)
    rules = {name: options.pop(name, {}) for name in ("expect_all_or_drop", "expect_all_or_fail")}
    options.pop("expect_all", None)

    @dp.table(name=f"{target}{CHANGES}")
    def changes() -> DataFrame:
        rows = SparkSession.active().readStream.table(source)
        return failed(dropped(rows, rules["expect_all_or_drop"]), rules["expect_all_or_fail"])

    @dp.materialized_view(name=target, **options)
    def newest() -> DataFrame:
        rows = SparkSession.active().read.table(f"{target}{CHANGES}")
        rank = F.row_number().over(Window.partitionBy(*keys).orderBy(F.col(sequence_by).desc()))
        left_out = ", ".join(f"`{name}`" for name in (*except_column_list, "_rank"))
        # `drop` would look up the table, which does not exist yet.
        return (
            rows.select("*", rank.alias("_rank"))
            .where("_rank = 1")
            .selectExpr(f"* EXCEPT ({left_out})")
        )


def warned(rows: DataFrame, _: Rules) -> DataFrame:
    """All rows: broken rules are only counted."""
    return rows


def dropped(rows: DataFrame, rules: Rules) -> DataFrame:
    """The rows that meet all rules."""
    for condition in rules.values():
        rows = rows.where(condition)
    return rows


def failed(rows: DataFrame, rules: Rules) -> DataFrame:
    """All rows; one that breaks a rule ends the update."""
    for name, condition in rules.items():
        error = F.raise_error(F.lit(f"expectation {name}: {condition}")).cast("boolean")
        rows = rows.where(F.when(F.expr(condition), F.lit(True)).otherwise(error))
    return rows


def _checked(keep: Callable[[DataFrame, Rules], DataFrame], rules: Rules) -> Any:
    return lambda query: lambda: keep(query(), rules)

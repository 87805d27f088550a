"""The forge's environments: whose jobs they are for, and the variables of these jobs."""

from delivery.config.target import PREVIEW_TARGET

HOST, CLIENT = "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"
AUDIENCE = "DATABRICKS_TOKEN_AUDIENCE"


def environments_of(target: str) -> dict[str, str]:
    """The environment of the jobs that act as each role of a target."""
    if target == PREVIEW_TARGET:
        return {"previews": PREVIEW_TARGET}
    return {"deployer": target, "planner": f"{target}-plan"}


def audience_of(bundle: str, environment: str) -> str:
    """The audience of the id tokens of an environment: another one for each."""
    return f"{bundle}-{environment}"


def variables_of(host: str, client: str, audience: str) -> dict[str, str]:
    """What the jobs of an environment need to know; none of it is secret."""
    return {HOST: host, CLIENT: client, AUDIENCE: audience}

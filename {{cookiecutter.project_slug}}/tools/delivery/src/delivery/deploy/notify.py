"""Notify people of failures: one message to an incoming webhook."""

import json
import os
import sys
import urllib.request
from http.client import HTTPException

from delivery.config.policy import Policy


def notify(policy: Policy, target: str, text: str) -> None:
    """Send a message, if the policy names a webhook. A failure to send is only reported."""
    if policy.notify is None:
        return
    address = os.environ.get(policy.notify.webhook_env, "")
    if not address.startswith(("https://", "http://127.0.0.1")):
        print(
            f"notify: {policy.notify.webhook_env} expected an https address; no message was sent",
            file=sys.stderr,
        )
        return
    body = json.dumps({"text": f"{policy.project.name}, {target}: {text}"}).encode()
    request = urllib.request.Request(  # noqa: S310
        address, body, {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except (OSError, ValueError, HTTPException) as error:
        print(f"notify: the webhook failed: {type(error).__name__}", file=sys.stderr)

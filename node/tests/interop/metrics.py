"""Reads a peer's /metrics as Prometheus does, with a token that is good for nothing else.

    metrics.py API TOKEN

Prints a line for each thing shown, and fails with the first that is not so.
"""

import re
import sys
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

# https://prometheus.io/docs/specs/om/open_metrics_spec/: units and base units. Power has none but that of a rate.
BASE_UNITS = {"seconds", "bytes", "ratios", "celsius", "watts"}
# Words in the name of a family that counts things, and so has no unit, would tell of one after all.
UNITS = re.compile(
    r"_(ms|us|ns|millis\w*|micros\w*|minutes?|hours?|days?|kb|mb|gb|ki?b|mi?b|gi?b|kilo\w*|mega\w*|mebi\w*|gibi\w*|bits?|percent|pct|seconds?|bytes?|ratios?|celsius|watts?|volts?|joules?)(_|$)"
)
# Peers, swarms and jobs have 64 hexadecimal digits, 32 or fewer where they are shortened; libp2p's names begin so.
NAMES = re.compile(r"[0-9a-f]{12,}|12D3Koo|/ip[46]/|\d+\.\d+\.\d+\.\d+")
MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TIMEOUT_S = 20


def ask(api, path, token):
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/openmetrics-text"}
    request = urllib.request.Request(api + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers.get("content-type"), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("content-type"), error.read().decode()


def shown(what, figure=""):
    print(f"ok   metrics  {what}" + (f": {figure}" if figure else ""), flush=True)


def must(condition, what):
    if not condition:
        sys.exit(f"metrics: {what}")


def main(api, token):
    status, kind, text = ask(api, "/metrics", token)
    must(status == 200, f"/metrics answers {status}: {text}")
    must(kind == MEDIA_TYPE, f"its media type is {kind}")
    shown("a token for metrics opens /metrics", kind)

    status, _, _ = ask(api, "/api/v1/status", token)
    must(status == 403, f"that token gets {status} at /api/v1/status")
    status, _, _ = ask(api, "/metrics", "0" * 64)
    must(status == 401, f"another token gets {status} at /metrics")
    shown("it opens nothing else, and no other token does")

    families = list(text_string_to_metric_families(text))
    samples = sum(len(family.samples) for family in families)
    shown("Prometheus' parser reads it to the end", f"{len(families)} families, {samples} samples")

    for family in families:
        must(family.name.startswith("starling_"), f"{family.name} is not called starling_")
        must(family.documentation, f"{family.name} has no help")
        must(family.type != "unknown", f"{family.name} has no type")
        if family.unit:
            must(family.unit in BASE_UNITS, f"{family.name} has the unit {family.unit}")
        else:
            must(not UNITS.search(family.name), f"{family.name} has a unit in its name only")
    units = sorted(family.name for family in families if family.unit)
    shown("every family has type and help, and a base unit where it does not count things", ", ".join(units))

    values = {sample.name: sample.value for family in families for sample in family.samples}
    for name in ("starling_known_peers", "starling_lending"):
        must(values.get(name, 0) >= 1, f"{name} is {values.get(name)}")
    shown("it tells of peers and lending", f"{values['starling_known_peers']:.0f} known peers")

    named = NAMES.search(text)
    must(not named, f"it names {named and named.group()}")
    shown("it names no peer, no job and no address", f"{len(text)} bytes")


main(*sys.argv[1:])

"""A peer's local API against its own description, by schemathesis.

    api.py NAME API TOKEN SECONDS [PATHS]

SECONDS bounds the run, PATHS (a regular expression) the paths. Prints a line for each thing shown; fails if the peer
answers with 5xx, if an answer does not fit /api/v1/openapi.json and is not in KNOWN, or if the peer is gone afterwards.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request

SEED = 1
# Nothing takes as long, but what is left out.
REQUEST_S = 20
# Of a schema's examples, tried first, then random ones.
EXAMPLES = 50

# No request may stop the peer, and none does: homes are thrown away, so its settings, its lending and its members may
# change. What does not end in time is left out.
LEFT_OUT = {
    r"/events$": "streams of events, which do not end",
    r"/collect$": "collecting a job that nobody holds, which takes minutes",
}

# Answers that do not fit the description yet, by check and operation.
KNOWN = set()


def fetch(api, path, token):
    request = urllib.request.Request(api + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:
        return json.load(answer)


def with_examples(document, api, token):
    """Names of things that are there: no random text is one."""
    jobs = fetch(api, "/api/v1/jobs", token)["jobs"]
    peers = fetch(api, "/api/v1/peers", token)["peers"]
    kernels = [offer["kernel"] for peer in peers for offer in peer["kernels"]]
    names = {"jobs": [job["job"] for job in jobs], "peers": [peer["peer"] for peer in peers], "kernels": kernels}
    for path, operations in document["paths"].items():
        examples = names.get(path.split("/")[3], []) if "{id}" in path else []
        # Only what looks: the job has to be there for the next one.
        for parameter in operations.get("get", {}).get("parameters", []):
            if examples and parameter["name"] == "id":
                parameter["example"] = examples[0]
            elif parameter["name"] == "n":
                parameter["example"] = 0


def run(api, token, seconds, paths):
    folder = tempfile.mkdtemp(dir=os.environ.get("FOLDER"))
    description, report, log = (os.path.join(folder, name) for name in ("openapi.json", "report.json", "log"))
    document = fetch(api, "/api/v1/openapi.json", token)
    with_examples(document, api, token)
    with open(description, "w") as file:
        json.dump(document, file)
    schemathesis = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [schemathesis, "--no-color", "run", description, f"--url={api}", f"--header=Authorization: Bearer {token}"]
    # Of several, schemathesis takes the last.
    command += [f"--exclude-path-regex={'|'.join(LEFT_OUT)}"]
    command += [f"--include-path-regex={paths}"] if paths else []
    command += ["--checks=not_a_server_error,content_type_conformance,response_schema_conformance"]
    command += ["--phases=examples,coverage,fuzzing", "--continue-on-failure", "--no-shrink", "--warnings=off"]
    command += [f"--seed={SEED}", f"--max-examples={EXAMPLES}", f"--max-time={seconds}", f"--request-timeout={REQUEST_S}"]
    command += ["--report=json", f"--report-json-path={report}"]
    with open(log, "w") as file:
        # What is under way when the time is over ends in its own.
        subprocess.run(command, check=False, stdout=file, stderr=file, timeout=seconds + 3 * REQUEST_S, cwd=folder)
    with open(log) as file:
        said = file.read()
    if not os.path.exists(report):
        sys.exit(f"schemathesis did not run:\n{said}")
    with open(report) as file:
        return json.load(file), said


def main(name, api, token, seconds, paths=None):
    def shown(what, figure="", mark="ok   "):
        print(f"{mark}api      {name}: {what}" + (f": {figure}" if figure else ""), flush=True)

    report, said = run(api, token, int(seconds), paths)
    failed = {(failure["type"], at) for failure in report["failures"] for at in failure["operations"]}
    operations, cases = report["operations"], report["test_cases"]
    if operations["tested"] == 0 or operations["tested"] < operations["selected"]:
        sys.exit(f"{said}\n{name}: only {operations['tested']} of {operations['selected']} operations were tried")
    figures = f"{cases['generated']} requests to {operations['tested']} of {operations['total']} operations"
    shown("schemathesis tries what the description offers", f"{figures} in {report['running_time']:.0f} s, seed {SEED}")
    if not paths:
        for why in LEFT_OUT.values():
            shown(f"left out: {why}", mark="-    ")
    for check, at in sorted(failed & KNOWN):
        shown(f"known not to fit: {check}", at, mark="-    ")

    new = sorted(failed - KNOWN)
    if new or report["errors"]:
        for check, at in new:
            print(f"FAIL api      {name}: {check}: {at}", flush=True)
        sys.exit(f"{said}\n{name}: {len(new)} failures, {len(report['errors'])} errors")
    shown("no answer is 5xx, and no request stays without one")
    shown("all other answers have the media type and the schema that the description gives them")
    fetch(api, "/api/v1/status", token)
    shown("the peer is still there")


# Who is asked to end ends schemathesis, too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main(*sys.argv[1:])

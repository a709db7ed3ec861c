"""The parts of tests/openapi that are Python.

As a program it checks the document that it is given the name of: that it is OpenAPI 3.1, and that its examples are as
its schemas say. With a second name, of the answers that were seen, it checks instead that each row has given each of its
good ones. schemathesis loads it for its hooks and checks.
"""

import collections
import itertools
import json
import os
import re
import sys

import requests
import schemathesis
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from schemathesis import GenerationMode

DOCUMENT = "urn:document"

# What a healthy engine says no to: it depends on what the container does, which may have ended this very moment.
REFUSALS = re.compile(
    r"Docker error: (Container [0-9a-f]{64} is (not running|not paused|already paused)"
    r"|Cannot (pause|unpause|kill) container:? [0-9a-f]{64}: .*)"
)

# What a row that waits says when that was in vain, and why a command did not come to its end.
TIMEOUTS = re.compile(r"\S+ did not .*|slow took longer than 200ms and was ended", re.DOTALL)

# What the document cannot say of a parameter by itself.
CONDITIONS = re.compile(
    r"Bad parameter: wait: \S+ has no health check, so it never becomes healthy"
    r"|(Missing|Bad|Unknown) parameter: (?!wait|timeout).*",
    re.DOTALL,
)

WAITING = ("startContainer", "stopContainer", "restartContainer")

# The commands of tests/openapi with their parameters. The last is there for 404.
COMMANDS = [("say", {"word": "hello"}), ("nothing", {}), ("slow", {}), ("nosuch", {})]

# Where is told which rows have given which answers.
SEEN = os.environ.get("RELAYER_OPENAPI_SEEN")

# What is done to a container before every other request, so that there is something to do for the request.
BEFORE = {
    "startContainer": ["unpause", "kill"],
    "stopContainer": ["unpause", "start"],
    "restartContainer": ["unpause"],
    "getStats": ["unpause", "start"],
    "runCommand": ["unpause", "start"],
    "pauseContainer": ["unpause", "start"],
    "unpauseContainer": ["start", "pause"],
    "killContainer": ["unpause", "start"],
}
NAMES = ("ffmpeg-kick", "muxer")
calls = itertools.count()
# The same for each row.
turns = collections.defaultdict(itertools.count)


def row(case):
    """The name of a request's row."""
    return case.operation.definition.raw.get("operationId")


def is_right(case):
    """Whether a request is made to be as the document says."""
    return case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE


def good_forms(operation):
    """The media types of a row's good answers, but for those without an end."""
    kinds = operation["responses"]["200"]["content"]
    return [kind for kind in kinds if kind not in ("application/x-ndjson", "text/event-stream")]


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    """Takes away what schemathesis misunderstands: the schema of a whole stream of events for that of each; see `live`."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                stream = response.get("content", {}).get("text/event-stream")
                if stream:
                    stream["schema"] = {}


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Sees to it that not only refusals are seen, and that nothing is waited for long."""
    if row(case) in WAITING and is_right(case):
        # The one goes with the other.
        case.query = {key: value for key, value in (case.query or {}).items() if key != "timeout"}
        if "wait" in case.query:
            case.query["timeout"] = "300ms"
    number = next(calls)
    forms = good_forms(case.operation.definition.raw)
    if len(forms) > 1 and is_right(case):
        case.headers = {**(case.headers or {}), "Accept": forms[next(turns[row(case)]) % len(forms)]}
    name = (case.path_parameters or {}).get("name")
    if name not in NAMES or number % 4 == 1:
        return
    if row(case) == "runCommand" and is_right(case):
        case.path_parameters["command"], case.body = COMMANDS[number // 4 % len(COMMANDS)]
    for verb in BEFORE.get(row(case), []):
        requests.post(f"{case.operation.base_url.rstrip('/')}/container/{name}/{verb}", timeout=20)


@schemathesis.hook
def after_call(_context, case, response):
    """Remembers that this row has given this answer."""
    if SEEN:
        with open(SEEN, "a", encoding="utf-8") as file:
            # 304 has none.
            kind = response.headers.get("content-type", ["-"])[0].split(";")[0]
            print(row(case), response.status_code, kind, file=file)


@schemathesis.check
def refusals(_context, response, case):
    """With a healthy engine, 5xx is only ever the engine's own no or the end of a wait; so is 400 a condition."""
    has_conditions = row(case) in (*WAITING, "runCommand")
    is_condition = response.status_code == 400 and has_conditions and is_right(case)
    if response.status_code < 500 and not is_condition:
        return
    body = response.json()
    error = body.get("error") or body.get("detail") or ""
    forms = {400: CONDITIONS, 500: REFUSALS, 504: TIMEOUTS}
    form = forms.get(response.status_code)
    if form is None or not form.fullmatch(error):
        raise AssertionError(f"{response.status_code} with a healthy engine: {error}")


@schemathesis.check
def live(_context, response, case):
    """What happens is told as the document says, and there is always something to tell."""
    if row(case) != "followEvents" or response.status_code != 200:
        return
    document = case.operation.schema.raw_schema
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    validator = Draft202012Validator(
        {"$ref": f"{DOCUMENT}#/components/schemas/LiveEvent"},
        registry=Registry().with_resource(DOCUMENT, resource),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    told = [line[len("data: "):] for line in response.text.splitlines() if line.startswith("data: ")]
    if not told:
        raise AssertionError(f"nothing is told: {response.text}")
    for text in told:
        validator.validate(json.loads(text))


def examples(value, path=""):
    """Every example in the document, each with the path of its schema."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from examples(item, f"{path}/{index}")
    if not isinstance(value, dict):
        return
    if "schema" in value:
        if "example" in value:
            yield f"{path}/schema", value["example"]
        for example in value.get("examples", {}).values():
            yield f"{path}/schema", example["value"]
    for key, item in value.items():
        # What an example looks like inside is nobody's business.
        if key not in ("example", "examples", "schema"):
            yield from examples(item, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")


def unseen(document, file):
    """Prints the good answers that no row has given; whether there are any."""
    with open(file, encoding="utf-8") as lines:
        seen = {tuple(line.split()) for line in lines}
    wanted = {
        (operation["operationId"], status, kind)
        for methods in document["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if status.startswith("2")
        for kind in good_forms(operation)
    }
    missing = sorted(wanted - seen)
    print(f"        {len(wanted) - len(missing)} of {len(wanted)} good answers were seen")
    for answer in missing:
        print("        never seen:", *answer)
    return bool(missing) or not wanted


def main(file, seen=None):
    with open(file, encoding="utf-8") as text:
        document = json.load(text)
    if seen:
        return unseen(document, seen)
    OpenAPIV31SpecValidator(document).validate()
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource(DOCUMENT, resource)
    count, wrong = 0, 0
    for path, example in examples(document):
        validator = Draft202012Validator(
            {"$ref": f"{DOCUMENT}#{path.replace('{', '%7B').replace('}', '%7D')}"},
            registry=registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        count += 1
        for error in validator.iter_errors(example):
            wrong += 1
            print(f"{path}: {error.message}")
    operations = sum(len(methods) for methods in document["paths"].values())
    print(f"{operations} operations, {count} examples, {wrong} wrong")
    return operations == 0 or count == 0 or wrong > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Real documents against the JSON Schemas: the input that policies see, and the verdicts that lines get."""
import json, pathlib, subprocess, sys, tempfile
from jsonschema import Draft202012Validator

packs, sealtail = pathlib.Path(sys.argv[1]), sys.argv[2]
schema = {name: json.loads((packs / "schema" / f"{name}.json").read_text()) for name in ("input", "verdict")}
check = {}
for name, text in schema.items():
    Draft202012Validator.check_schema(text)
    check[name] = Draft202012Validator(text)


def tried(policies, path):
    command = [sealtail, "policy", "try", "--json", "--once", "--policies", str(policies), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


verdicts = 0
for log in sorted(packs.glob("*/samples/*.log")):
    for row in tried(packs, log):
        for verdict in row["verdicts"]:
            check["verdict"].validate(verdict)
            verdicts += 1

# the input as a policy sees it: parts of it come out as ids, each in one verdict; `reason` is cut at 256 bytes
ECHO = """package sealtail.echo

verdicts contains {"id": concat("", [key, "=", json.marshal(input[key])])} if some key in object.keys(input)
"""
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    (folder / "echo.rego").write_text(ECHO)
    (folder / "x.log").write_text('plain\n{"a":{"b":[1,2.5,null,true,"x"]}}\n')
    for row in tried(folder, folder / "x.log"):
        parts = dict(verdict["id"].split("=", 1) for verdict in row["verdicts"])
        document = {key: json.loads(value) for key, value in parts.items()}
        assert "message" in document and "source" in document, document
        check["input"].validate(document)

# what the contract refuses, the schemas refuse
for wrong in ({}, {"id": ""}, {"id": "x", "msg": "y"}, {"id": "x", "severity": "HIGH"}, {"id": "x", "redact": []}):
    assert not check["verdict"].is_valid(wrong), wrong
assert not check["input"].is_valid({"message": "x", "source": {"type": "tape", "name": "x"}, "host": "h", "time": "t"})
print(f"{verdicts} verdicts")
sys.exit(verdicts < 100)

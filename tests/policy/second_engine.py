"""The packs on their samples by rego-cpp: each line must get the ids beside it."""
import json, pathlib, sys
from regopy import Interpreter

packs = pathlib.Path(sys.argv[1])
modules = {}
for path in sorted(packs.rglob("*.rego")):
    if not path.name.endswith("_test.rego"):
        text = path.read_text()
        package = next(line.split()[1] for line in text.splitlines() if line.startswith("package "))
        modules[package] = text


def document(line):
    # rego-cpp 1.5 leaves the escapes of texts in a policy as they are written, so the message gets them too
    escaped = json.dumps(line, ensure_ascii=False)[1:-1]
    found = {"message": escaped, "source": {"type": "file", "name": "sample"}, "host": "h", "time": "2026-01-12T06:25:41Z"}
    try:
        fields = json.loads(line)
        if isinstance(fields, dict):
            found["fields"] = fields
    except ValueError:
        pass
    return found


def ids(engine, package, line):
    engine.set_input(document(line))
    output = engine.query(f"x = {{v.id | some v in data.{package}.verdicts}}")
    return set(json.loads(str(output))["bindings"]["x"])


wrong = lines = verdicts = 0
for package, text in modules.items():
    pack, name = package.split(".")[1:3]
    log = packs / pack / "samples" / f"{name}.log"
    own = {part.split('"')[0] for part in text.split('{"id": "')[1:]}
    engine = Interpreter()
    engine.add_module(name, text)
    beside = log.with_suffix(".ids").read_text().splitlines()
    for line, expected in list(zip(log.read_text().splitlines(), beside)):
        found, expected = ids(engine, package, line), set(expected.split()) & own
        lines, verdicts = lines + 1, verdicts + len(found)
        if found != expected:
            wrong += 1
            print(f"{log.name}: rego-cpp {sorted(found)}, regorus {sorted(expected)}: {line}")
print(f"{lines} lines, {verdicts} verdicts, {wrong} differ")
sys.exit(wrong > 0 or verdicts < 50)

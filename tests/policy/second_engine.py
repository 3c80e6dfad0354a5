"""The packs on their samples by rego-cpp: each line must get the ids beside it."""
import json, pathlib, subprocess, sys
from regopy import Interpreter

packs = pathlib.Path(sys.argv[1])
modules = {}
for path in sorted(packs.rglob("*.rego")):
    if not path.name.endswith("_test.rego"):
        text = path.read_text()
        package = next(line.split()[1] for line in text.splitlines() if line.startswith("package "))
        modules[package] = text


def documents(log):
    """What sealtail's policies see of each line."""
    command = [sys.argv[2], "policy", "try", "--json", "--input", "--once", "--policies", str(packs), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for row in done.stdout.splitlines():
        found = json.loads(row)["input"]
        # rego-cpp 1.5 leaves the escapes of texts in a policy as they are written, so the message gets them too
        found["message"] = json.dumps(found["message"], ensure_ascii=False)[1:-1]
        yield found


def ids(engine, package, document):
    engine.set_input(document)
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
    for document, expected in zip(documents(log), beside, strict=True):
        found, expected = ids(engine, package, document), set(expected.split()) & own
        lines, verdicts = lines + 1, verdicts + len(found)
        if found != expected:
            wrong += 1
            print(f"{log.name}: rego-cpp {sorted(found)}, regorus {sorted(expected)}: {document['message']}")
print(f"{lines} lines, {verdicts} verdicts, {wrong} differ")
sys.exit(wrong > 0 or verdicts < 50)

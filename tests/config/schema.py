"""The JSON Schema of sealtail.toml: takes the shipped files, and refuses what the program refuses."""
import json, pathlib, sys, tomllib
from jsonschema import Draft202012Validator

schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
Draft202012Validator.check_schema(schema)
check = Draft202012Validator(schema)
files = sorted(pathlib.Path(sys.argv[2]).glob("*.toml"))
assert len(files) >= 3, files
for file in files:
    check.validate(tomllib.loads(file.read_text()))

good = tomllib.loads((pathlib.Path(sys.argv[2]) / "sidecar.toml").read_text())
for table, key, value in [
    ("spool", "max_size", 5),
    ("spool", "max_size", "5 MB"),
    ("spool", "maxsize", "5MiB"),
    ("chain", "flush_interval", "1 second"),
    ("policy", "on_undecided", "drop"),
    ("policy", "max_instructions", 0),
    ("source", "format", "xml"),
    ("source", "units", ["sshd"]),
    ("target", "type", "carrier-pigeon"),
    ("target", "dir", "/mnt/worm"),
    ("telemtry", "log", "info"),
]:
    wrong = json.loads(json.dumps(good))
    place = wrong.setdefault(table, {})
    (place[0] if isinstance(place, list) else place)[key] = value
    assert not check.is_valid(wrong), (table, key, value)

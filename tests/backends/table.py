"""Prints what each kind of target was held to, from nextest's JUnit report: python3 tests/backends/table.py REPORT"""
import sys
import xml.etree.ElementTree as ET

rows = []
for case in ET.parse(sys.argv[1]).iter("testcase"):
    kind, _, test = case.get("name").rpartition("::")
    if case.get("classname") == "sealtail::backends" and kind:
        said = "".join(text or "" for name in ("system-out", "system-err") for text in [case.findtext(name)])
        is_bad = any(case.find(name) is not None for name in ("failure", "error"))
        state = "FAILED" if is_bad else "skipped" if "SKIPPED" in said else "ok"
        rows.append((kind, test.replace("_", " "), state, float(case.get("time", 0))))
if not rows:
    sys.exit("no test of a kind of target has run")
width = max(len(test) for _, test, _, _ in rows)
last = None
for kind, test, state, seconds in sorted(rows):
    print(f"{'' if kind == last else kind:16} {test:{width}} {state:8} {seconds:6.1f} s")
    last = kind

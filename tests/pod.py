"""Does for tests/image what the kubelet does for a pod's sidecar, by the manifest: makes volumes, an OCI bundle, and probes.

pod.py volumes MANIFEST POD    makes POD/volumes/NAME, filled from POD/objects/NAME/KEY as kubectl was given them
pod.py refresh MANIFEST POD    fills those that are projected anew, as while the pod runs
pod.py bundle MANIFEST POD     makes POD/bundle/config.json, of the image's configuration (POD/image.json) and of the manifest
pod.py probe MANIFEST POD KIND ADDRESS   asks as the startupProbe or livenessProbe says; fails as it would
pod.py dns MANIFEST POD ADDRESS NAME=ADDRESS   answers for that name at ADDRESS, as a cluster's DNS: all others there are not
pod.py get MANIFEST PATH       prints what stands there, such as spec.terminationGracePeriodSeconds
"""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import sys
import urllib.request

import yaml

SECCOMP = "/usr/share/containers/seccomp.json"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def template(manifest):
    for document in yaml.safe_load_all(pathlib.Path(manifest).read_text()):
        if document["kind"] == "StatefulSet":
            pod, name = document["spec"]["template"], document["metadata"]["name"] + "-0"
            claims = [{"name": claim["metadata"]["name"], "claim": True} for claim in document["spec"]["volumeClaimTemplates"]]
            pod["spec"]["volumes"] += claims
            pod["metadata"]["name"] = name
            return pod
    sys.exit(f"{manifest}: there is no StatefulSet in it")


def container(pod):
    return next(one for one in pod["spec"]["initContainers"] if one["name"] == "sealtail")


def field(pod, path):
    """What a fieldRef means."""
    value = pod["metadata"].get(path.removeprefix("metadata."), {})
    return value if isinstance(value, str) else "".join(f'{key}="{text}"\n' for key, text in sorted(value.items()))


def owned(path, mode, group):
    os.chown(path, 0, group)
    os.chmod(path, mode)


def files(source, pod, objects):
    """Path and content of what a source of a projected volume gives."""
    kind, what = next(iter(source.items()))
    if kind == "downwardAPI":
        return [(item["path"], field(pod, item["fieldRef"]["fieldPath"]).encode()) for item in what["items"]]
    folder = objects / what["name"]
    items = what.get("items", [{"key": path.name, "path": path.name} for path in sorted(folder.iterdir())])
    return [(item["path"], (folder / item["key"]).read_bytes()) for item in items]


def projected(folder, sources, mode, pod, objects):
    """A new generation of the files, put in place at once: links lead to `..data`, and that to a folder (the kubelet's AtomicWriter)."""
    group = pod["spec"]["securityContext"]["fsGroup"]
    folder.mkdir(parents=True, exist_ok=True)
    owned(folder, 0o3777, group)
    generation = folder / f"..generation_{len(list(folder.glob('..generation_*')))}"
    tops = set()
    for path, content in (file for source in sources for file in files(source, pod, objects)):
        file = generation / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        # read-only volumes are made readable for the pod's group, and no more
        owned(file, mode | 0o440, group)
        tops.add(path.split("/")[0])
    for part in [generation, *(path for path in generation.rglob("*") if path.is_dir())]:
        owned(part, 0o2755, group)
    (folder / "..data_tmp").symlink_to(generation.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"..data/{top}")


def handed_over(folder, group):
    """What fsGroup does to a volume that can be written to, at each start of the pod: all of it."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, -1, group)
            os.chmod(path, path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))


def volumes(pod, work, is_running):
    for volume in pod["spec"]["volumes"]:
        folder = work / "volumes" / volume["name"]
        if "projected" in volume or "downwardAPI" in volume:
            sources = volume.get("projected", {}).get("sources") or [{"downwardAPI": volume["downwardAPI"]}]
            mode = volume.get("projected", {}).get("defaultMode", 0o644)
            projected(folder, sources, mode, pod, work / "objects")
        elif not is_running:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755 if "claim" in volume else 0o777)
            handed_over(folder, pod["spec"]["securityContext"]["fsGroup"])


def seccomp():
    """What RuntimeDefault is to a process without capabilities on this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    profile = json.loads(pathlib.Path(SECCOMP).read_text())
    rules = []
    for rule in profile["syscalls"]:
        includes = rule.get("includes") or {}
        if includes.get("caps") or (includes.get("arches") and machine not in includes["arches"]):
            continue
        kept = {key: rule[key] for key in ("names", "action", "errnoRet") if rule.get(key) is not None}
        rules.append(kept | ({"args": rule["args"]} if rule.get("args") else {}))
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"], "syscalls": rules}


def mounts(pod, work):
    made = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
    ]
    made += [(f"/etc/{name}", "bind", work / name, ["rbind", "rprivate"]) for name in ("hosts", "hostname", "resolv.conf")]
    for mount in container(pod)["volumeMounts"]:
        options = ["rbind", "rprivate", "ro" if mount.get("readOnly") else "rw"]
        made.append((mount["mountPath"], "bind", work / "volumes" / mount["name"], options))
    return [{"destination": to, "type": kind, "source": str(of), "options": options} for to, kind, of, options in made]


def bundle(pod, work):
    image = json.loads((work / "image.json").read_text())["OCIv1"]["config"]
    one = container(pod)
    security = one["securityContext"]
    if security["runAsNonRoot"] and not re.fullmatch(r"[1-9]\d*(:\d+)?", image.get("User", "")):
        sys.exit("the kubelet starts no image as runAsNonRoot whose USER is not a number")
    env = image.get("Env") or []
    if not any(entry.startswith("PATH=") for entry in env):
        env = [f"PATH={DEFAULT_PATH}", *env]
    env += [f"HOSTNAME={pod['metadata']['name']}"]
    env += [f"{entry['name']}={field(pod, entry['valueFrom']['fieldRef']['fieldPath'])}" for entry in one["env"]]
    assert security["capabilities"]["drop"] == ["ALL"] and security["seccompProfile"]["type"] == "RuntimeDefault"
    amount, unit = re.fullmatch(r"(\d+)(\w\w)", one["resources"]["limits"]["memory"]).groups()
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {
                "uid": security["runAsUser"],
                "gid": security["runAsGroup"],
                "additionalGids": [pod["spec"]["securityContext"]["fsGroup"]],
            },
            "args": (image.get("Entrypoint") or []) + (image.get("Cmd") or []),
            "env": env,
            "cwd": image.get("WorkingDir") or "/",
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
        },
        "root": {"path": (work / "root").read_text().strip(), "readonly": security["readOnlyRootFilesystem"]},
        "mounts": mounts(pod, work),
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
            + [{"type": "network", "path": (work / "network").read_text().strip()}],
            "resources": {"memory": {"limit": int(amount) * UNITS[unit]}},
            "cgroupsPath": f"/sealtail-{work.name}",
            "seccomp": seccomp(),
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }
    shutil.rmtree(work / "bundle", ignore_errors=True)
    (work / "bundle").mkdir()
    (work / "bundle/config.json").write_text(json.dumps(config, indent=1))


def probe(pod, kind, address):
    asked = container(pod)[kind]["httpGet"]
    answer = urllib.request.urlopen(f"http://{address}:{asked['port']}{asked['path']}", timeout=container(pod)[kind].get("timeoutSeconds", 1))
    print(asked["path"], answer.read().decode())


def dns(address, known):
    name, _, answer = known.partition("=")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(512)
            end = query.index(0, 12) + 5
            question, labels, at = query[12:end], [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            is_known = ".".join(labels).lower() == name
            found = is_known and question[-4:] == b"\0\1\0\1"
            head = query[:2] + (b"\x81\x80" if is_known else b"\x81\x83") + struct.pack(">4H", 1, found, 0, 0)
            record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 5, 4) + socket.inet_aton(answer)
            server.sendto(head + question + (record if found else b""), client)


def main():
    what, manifest, *rest = sys.argv[1:]
    pod = template(manifest)
    if what == "get":
        value = {"pod": pod, "sealtail": container(pod)}
        for key in rest[0].split("."):
            value = value[key]
        print(value)
        return
    work = pathlib.Path(rest[0])
    match what:
        case "volumes" | "refresh":
            volumes(pod, work, what == "refresh")
        case "bundle":
            bundle(pod, work)
        case "probe":
            probe(pod, *rest[1:])
        case "dns":
            dns(*rest[1:])
        case _:
            sys.exit(f"pod.py: there is no {what}")


main()

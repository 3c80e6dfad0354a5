"""A second verifier of sealtail archives, format version 1, written from FORMAT.md alone ("§" are its sections).
    python3 -m venv VENV && VENV/bin/pip install cryptography    # Python 3.11; and the programs `age` and `zstd`
    VENV/bin/python verifier.py ARCHIVE_DIR [--identity AGE_IDENTITY] [--host-key HOST.pub]... [--target NAME]...

Prints one JSON object for each finding and last the result, with the words and exit status of §10. Checked are tags,
keys, checkpoints, order and links. What lines merely say (LOSS-DECLARED, SOURCE-GAP, CLOCK-STEP, SILENCE inside a
stream, `skip` but of whole streams), receipts, and which of two lines with one seq is true (FORK) are not. A stream is held in memory.
"""
import argparse, base64, collections, functools, hashlib, hmac, json, pathlib, re, subprocess, sys
from datetime import datetime, timezone
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
WARNINGS, INFOS = ("SKIPPED", "UNCLEAN-END"), ("OPEN", "DUPLICATE-IDENTICAL", "REDACTED", "PUBLIC-ONLY")
MAX_LINE, MAX_HEADER, MAX_SEGMENT, MAX_JUMP, OPEN_SECONDS = 1_048_576, 8_192, 4_096, 1_000_000, 180
# ---- §1 notation ----
def label(name): return b"sealtail/v1 " + name.encode() + b"\0"
def be(n, width): return n.to_bytes(width, "big")
def H(x): return hashlib.sha256(x).digest()
def HMAC(key, x): return hmac.digest(key, x, "sha256")
def un_b64url(text): return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
def un_b64(text): return base64.b64decode(text, validate=True)
B16, B32 = r"[A-Za-z0-9_-]{21}[AQgw]", r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"  # canonical b64url of 16 and 32 bytes
B64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"
# ---- §4 shapes: what each key holds; which keys each object has ("?": may be absent) ----
def integer(below): return lambda v: type(v) is int and 0 <= v < below
def array(item): return lambda v: type(v) is list and all(map(item, v))
def either(*checks): return lambda v: any(check(v) for check in checks)
def string(regex):                                                 # encode() raises ValueError for a lone surrogate
    return lambda v, re=re.compile(regex, re.A | re.S): type(v) is str and v.encode() is not None and re.fullmatch(v)
def shape(spec, **other):    # an object with these keys and no others; each holds what `other` or else KEYS says
    known = {k: other.get(k) or KEYS[k] for k in spec.replace("?", "").split()}
    required = {k for k in spec.split() if k[-1] != "?"}
    return lambda v: type(v) is dict and required <= v.keys() <= known.keys() and all(known[k](x) for k, x in v.items())
KEYS = {key: check for check, keys in [
    (integer(2**64), "seq mono off lines bytes spool count from to line segment first size lost dev ino born pre_len boot_us real_us"),
    (integer(2**32), "src fp_len"), (lambda v: type(v) is int and v == 1, "v"), (lambda v: type(v) is bool, "clean"),
    (string(".*"), "type name reason alert note path msg id alg"), (string(r"(?!\.)[\w.-]{1,64}"), "host target"),
    (string(B16), "salt"), (string(B32), "key commit config policy root leaf old new digest"),
    (string(B64), "sealed sig signature msg_b64 path_b64"), (string("[0-9a-f]{32}"), "stream fp sequence boot"),
    (string(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"), "time stored_at"), (string("sha256-hmac-ed25519-age"), "suite"),
    (array(string(".*")), "erasure targets controls changed"), (array(string(B32)), "edge"), (array(string(B16)), "redacted"), (string("eof|part|utf16[bl]e"), "end"),
    (string("opened|identified|truncated|missed|vanished|ended"), "event"), (string("allow|flag|deny|undecided"), "decision"),
    (string("info|low|medium|high|critical"), "severity"), (string("[0-9a-f]{64}"), "pre"),
    (lambda v: type(v) is dict and all(type(x) is str for x in v.values()), "labels")] for key in keys.split()}
KEYS["verdicts"] = array(shape("id decision severity? controls? reason?"))
KEYS["prev"] = either(lambda v: v is None, shape("stream size root leaf clean"))
KEYS["cursor"] = either(shape("kind off", kind=string("stdin")),
                        shape("kind sequence boot boot_us real_us off", kind=string("journal")),
                        shape("kind dev ino born? fp_len fp off", kind=string("file")),
                        shape("kind dev ino born? fp_len fp pre_len pre off", kind=string("file")))
KEYS["endorsement"] = shape("alg key sig", key=string(B64))
KEYS["receipts"] = array(lambda v: type(v) is dict and v.keys() == {"target", "receipt"})
HEADERS = {kind: shape("seq type time mono " + spec) for kind, spec in {
    "genesis": "v suite host stream key commit config policy erasure targets prev", "log": "src off end? verdicts",
    "source": "src event name? cursor? lost?", "hb": "lines bytes spool", "gap": "count reason",
    "skip": "target stream from to", "policy": "old new", "config": "old new changed?", "alert": "line alert",
    "checkpoint": "segment first edge", "close": "reason lines bytes"}.items()}
PAYLOADS = {**dict.fromkeys(HEADERS, shape("")), "genesis": shape("sealed endorsement"), "hb": shape("receipts"),
            "log": either(shape("salt msg redacted?"), shape("salt msg_b64 redacted?")), "checkpoint": shape("note"),
            "source": either(shape("salt path? labels?"), shape("salt path_b64 labels?"))}
def in_order(runs): return all(first <= last for first, last in runs) and all(a[1] < b[0] for a, b in zip(runs, runs[1:]))
RUNS = array(lambda run: type(run) is list and len(run) == 2 and all(KEYS["seq"](n) for n in run))
STATEMENT = shape("host stream lines reason time key sig", key=string(B64), lines=lambda v: RUNS(v) and in_order(v))
def fits(h, p):
    kind, _ = h["type"], datetime.fromisoformat(h["time"][:19])     # ValueError: no such date
    return ([*h][:4] == ["seq", "type", "time", "mono"] and kind in HEADERS and HEADERS[kind](h) and
            (p is None or PAYLOADS[kind](p)) and (kind == "genesis") == (h["seq"] == 0) and (p or kind != "genesis"))
# ---- §3 the line: `bound` is be32(|h|) || h || c, which tag and leaf have in common; `p` is None if erased ----
Line = collections.namedtuple("Line", "seq kind h p bound tag leaf")
def refuse_duplicates(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)
JSON = json.JSONDecoder(object_pairs_hook=refuse_duplicates)
def place(row): return int((re.match(rb'\{"t":"[^"]{22}","h":\{"seq":(\d{1,20}),', row) or [0, -1])[1])
HEAD, TAIL = re.compile(r'\{"t":"(' + B16 + r')","h":(?=\{)'), re.compile(r',"c":"(' + B32 + r')"\}')
NO_BLANKS = re.compile(r'(?:[^"\x00-\x20]++|"(?:[^"\\]++|\\.)*+")*+')       # blanks only inside strings
def parse(raw):    # a line without its newline, or None; the bytes of `h` and `p` are sliced out, never written again
    try:
        text = raw.decode("utf-8")
        head = HEAD.match(text)
        h, h_end = JSON.raw_decode(text, head.end())
        p, p_end = JSON.raw_decode(text, h_end + len(',"p":'))
        erased = TAIL.fullmatch(text, p_end) if p is None else None
        h_bytes, p_bytes = text[head.end():h_end].encode(), text[h_end + len(',"p":'):p_end].encode()
        if not (text[h_end:].startswith(',"p":') and (erased or type(p) is dict and text[p_end:] == "}") and fits(h, p)
                and NO_BLANKS.fullmatch(text) and len(h_bytes) <= MAX_HEADER and len(raw) < MAX_LINE):
            return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    c, tag = un_b64url(erased[1]) if erased else H(label("payload") + p_bytes), un_b64url(head[1])
    bound = be(len(h_bytes), 4) + h_bytes + c
    return Line(h["seq"], h["type"], h, p, bound, tag, H(b"\0" + bound + tag))
# ---- §7 the tree (RFC 6962), kept as its edge; §6 and §7 signatures ----
def grow(edge, size, leaf):
    while size & 1:
        leaf, size = H(b"\1" + edge.pop() + leaf), size >> 1
    edge.append(leaf)
def fold(edge): return functools.reduce(lambda right, left: H(b"\1" + left + right), edge[::-1]) if edge else b""
def signer(alg, key, sig, message):    # the key (SPKI, DER) if it signed the message, else None
    try:
        public = serialization.load_der_public_key(key)
        if alg == "ed25519" and isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(sig, message)
        elif alg == "ecdsa-p256" and len(sig) == 64 and isinstance(public.curve, ec.SECP256R1):
            r_s = (int.from_bytes(half, "big") for half in (sig[:32], sig[32:]))
            public.verify(utils.encode_dss_signature(*r_s), message, ec.ECDSA(hashes.SHA256()))
        else:
            return None
        return spki(public)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, AttributeError):
        return None
def spki(key): return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
ED25519 = bytes.fromhex("302a300506032b6570032100")                 # SPKI of such a key, up to its 32 bytes
NOTE = re.compile(rf"((.+)\n(\d+)\n({B64})\n)\n\u2014 (.+) ({B64})\n")
# ---- §10 the report, one stream ----
total, unchecked = collections.Counter(), []                        # unchecked: reasons
def find(word, host, stream, seq, detail):
    weight = "warning" if word in WARNINGS else "info" if word in INFOS else "alarm"
    total[weight] += 1
    print(json.dumps(dict(finding=word, weight=weight, host=host, stream=stream, seq=seq, detail=detail)))
def firsts(seqs): return [seq for seq in sorted(seqs) if seq - 1 not in seqs]   # of each row of consecutive ones
class Stream:
    def __init__(self, folder):
        self.host, self.id, self.folder = folder.parent.name, folder.name, folder
        self.genesis = self.key = self.secret = self.last = self.heard = None   # header, raw key, S_segment, Line, time
        self.segment, self.first, self.known = 0, 0, True           # where the next line stands, and whether for sure
        self.lines, self.damaged, self.size = {}, set(), 0          # by seq; where no line is; the highest seq + 1
        self.edge, self.intact, self.tags = [], True, {}            # intact: the edge is the tree of all lines so far
        self.close = self.ended = self.after_end = self.counts = self.cut = None    # cut: where a finding says it ends
    def find(self, word, seq, detail): find(word, self.host, self.id, seq, detail)
    def read(self):    # the lines of all files by seq, of several the first; what stands in a wrong place is told
        files, slot, top = [], 0, -1
        for path in self.folder.glob("*.ndjson.zst"):
            told, name = subprocess.run(["zstd", "-dcq", "-M8MiB", path], capture_output=True), path.name.split(".")[0]
            *rows, rest = told.stdout.split(b"\n")
            cut = rest or b"premature end" in told.stderr or b"unexpected end" in told.stderr
            first = place(rows[0]) if rows else int(name) if name.isdecimal() else 0
            files.append((first, name, rows, "TRUNCATED" if cut else "MALFORMED" if told.returncode else None))
        for first, name, rows, fault in sorted(files, key=lambda file: file[:2]):
            again = "REPLAY" if name.isdecimal() and int(name) != first else "DUPLICATE-IDENTICAL"
            found = {again: set(), "FORK": set(), "REORDERED": set(), None: set()}
            for row, after in zip(rows, [*map(place, rows[1:]), -1]):
                line = parse(row)
                if line is None:
                    self.find("MALFORMED", slot, f"{name}: not a line of the format")
                    self.damaged.add(slot)
                    slot += after != slot                           # a row too many takes nobody's place
                    continue
                seq, known = line.seq, self.lines.setdefault(line.seq, line)
                if line.p is None and known.leaf == line.leaf: self.lines[seq] = line
                late = "REORDERED" if seq < top else None
                found[late if known is line else again if known.leaf == line.leaf else "FORK"].add(seq)
                slot, top = seq + 1, max(top, seq)
            for word, seq in [(word, seq) for word, seqs in found.items() if word for seq in firsts(seqs)]:
                self.find(word, seq, f"in file {name}")
            if fault:
                self.find(fault, slot, f"{name} cannot be read to its end")
                self.cut = slot
    def begin(self, line):    # the genesis: whose stream this is, who vouches for it, and K0
        h, seal, vow, key = line.h, un_b64(line.p["sealed"]), line.p["endorsement"], un_b64url(line.h["key"])
        by = signer(vow["alg"], un_b64(vow["key"]), un_b64(vow["sig"]), label("endorse") + line.bound[:-32] + H(seal))
        self.genesis, self.intact, self.counts = h, by is not None, by in TRUSTED or bool(by and not TRUSTED)
        if by and (self.host, self.id) != (h["host"], h["stream"]):
            self.find("WRONG-STREAM", 0, f"the genesis is of {h['host']}/{h['stream']}")
        if by:                                                      # else what was changed names nothing
            self.host, self.id, self.key = h["host"], h["stream"], key
        if by not in TRUSTED:
            self.find("UNENDORSED", 0, "by a key that is not trusted" if by else "the signature does not fit")
        opened = subprocess.run(["age", "-d", "-i", IDENTITY], input=seal, capture_output=True) if IDENTITY else None
        if opened and b"no identity matched" in opened.stderr:
            unchecked.append(f"{self.host}/{self.id}: the identity does not open the seal")
        elif opened and (opened.returncode or opened.stdout[32:] != bytes.fromhex(h["stream"]) + H(key)):
            self.find("SEAL-MISMATCH", 0, "the sealed text is damaged or another stream's")
        elif opened and HMAC(opened.stdout[:32], label("key-commit")) != un_b64url(h["commit"]):
            self.find("KEY-COMMIT-MISMATCH", 0, "commit is not the sealed key's")
        else:
            self.secret = opened and opened.stdout[:32]
    def check(self, run, secret, first):    # whether tags fit in a segment with this key and first line; None: unknown
        told, at, before, ratchet = [], first, self.last, secret and HMAC(secret, label("line-root"))
        for line in run:
            leaf = bytes(32) if not line.seq else before.leaf if before and before.seq == line.seq - 1 else None
            before, possible = line, secret and leaf and 0 <= line.seq - first < MAX_SEGMENT
            while possible and at < line.seq:
                ratchet, at = HMAC(ratchet, label("next")), at + 1
            said = possible and label("line") + bytes.fromhex(self.id) + be(line.seq, 8) + leaf + line.bound
            told.append(hmac.compare_digest(HMAC(HMAC(ratchet, label("mac")), said)[:16], line.tag) if said else None)
        return told
    def secret_of(self, segment):
        steps = range(segment - self.segment if self.secret else 0)
        return functools.reduce(lambda secret, _: HMAC(secret, label("segment-next")), steps, self.secret)
    def take(self, run):    # lines up to a checkpoint: their place, their tags, themselves
        last, ends = run[-1], run[-1].kind == "checkpoint"
        if run[0].seq == 0:
            self.begin(run[0])
        self.known &= [line.seq for line in run] == [*range(self.size, self.size + len(run))]
        told = self.check(run, self.secret, self.first)
        segment, first = (last.h["segment"], last.h["first"]) if ends else (self.segment + 1, run[0].seq)
        if not self.known and self.segment <= segment <= min(first, self.segment + MAX_JUMP):
            secret = self.secret_of(segment)                        # what the checkpoint claims counts if tags fit
            there = [b if line.seq >= first else a for line, a, b in zip(run, told, self.check(run, secret, first))]
            if there.count(True) >= told.count(True):
                told, self.secret, self.segment, self.first = there, secret, segment, first
        for line, tag in zip(run, told):
            self.step(line, tag)
        self.known = tag is not False and (ends or self.known)
        if ends and tag is not False:
            self.secret, self.segment, self.first = self.secret_of(self.segment + 1), self.segment + 1, last.seq + 1
    def step(self, line, tag):
        seq, kind, end = line.seq, line.kind, self.close
        gap = {n for n in range(self.size, min(seq, self.size + MAX_JUMP)) if n not in self.damaged}
        for missing in firsts(gap) if (self.size or self.genesis) and self.cut != self.size else []:
            self.find("MISSING", missing, f"lines before line {seq} are not there")
        self.intact, self.size = self.intact and seq == self.size, seq + 1
        if end is not None and (self.ended or (seq, kind) != (end + 1, "checkpoint")):
            if not self.after_end:
                self.find("RECORD-AFTER-CLOSE", seq, f"the close line is {end}")
            self.after_end = True
            return
        total.update(lines=1, log_lines=kind == "log", segments=kind == "checkpoint")
        if line.p is None:
            leave = kind in ("log", "source") and any(first <= seq <= end for first, end in self.leave())
            self.find("REDACTED" if leave else "ERASED-UNAUTHORISED", seq, "the payload was erased")
        elif kind == "checkpoint":
            self.checkpoint(line, tag)
        self.ended, self.close = end is not None, seq if kind == "close" and tag is not False else end
        self.tags[seq], self.last, self.intact = tag, line, self.intact and tag is not False
        self.heard = line.h["time"] if tag is not False else self.heard
        if self.intact:
            grow(self.edge, seq, line.leaf)
    def leave(self):    # §9 the runs of lines that statements by keys of the genesis name
        for path in self.folder.glob("*.erasure.json") if self.key else []:
            try:
                told, text = JSON.decode(path.read_text()), lambda s: be(len(s.encode()), 4) + s.encode()
                runs = told["lines"]
                said = (label("erase") + text(told["host"]) + text(told["reason"]) + text(told["time"]) +
                        bytes.fromhex(told["stream"]) + be(len(runs), 4) + b"".join(be(n, 8) for run in runs for n in run))
                key = serialization.load_der_public_key(un_b64(told["key"]))
                alg = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ecdsa-p256"
                by = signer(alg, un_b64(told["key"]), un_b64(told["sig"]), said)
                named = [spki(serialization.load_der_public_key(un_b64(key))) for key in self.genesis["erasure"]]
                if STATEMENT(told) and by in named and (told["host"], told["stream"]) == (self.host, self.id):
                    yield from runs
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError, UnsupportedAlgorithm):
                continue
    def checkpoint(self, line, tag):    # its note; then its edge, place and tree; the tree goes on from a sound one
        h, origin, edge = line.h, f"{self.host}/{self.id}", [un_b64url(root) for root in line.h["edge"]]
        note = NOTE.fullmatch(line.p["note"])
        signed = un_b64(note[6]) if note else b""
        ours = note and note.group(2, 3, 5) == (origin, str(line.seq), origin) and (
            not self.key or signed[:4] == H(origin.encode() + b"\n\1" + self.key)[:4]
            and signer("ed25519", ED25519 + self.key, signed[4:], note[1].encode()))
        sound = ours and len(edge) == line.seq.bit_count() and fold(edge) == un_b64(note[4])
        other = ours and self.intact and fold(self.edge) != un_b64(note[4])
        moved = tag is not False and self.known and (h["segment"], h["first"]) != (self.segment, self.first)
        if not ours or tag is not False and (other or not sound or moved):
            self.find("BAD-CHECKPOINT", line.seq, "its edge, place or root" if ours else "its note is not sound")
        self.edge, self.intact = (edge, other or not moved) if sound else (self.edge, False)
    def finish(self):
        failed = {seq for seq, tag in self.tags.items() if tag is False}
        for seq in failed:                          # the last of a row fails for the line before it: it is not to blame
            if seq + 1 in failed or seq - 1 not in failed:
                lone = seq + 1 not in failed and self.tags.get(seq - 1, 0) is None and self.tags.get(seq + 1)
                self.find("TAMPERED", seq - 1 if lone else seq, "the tag is not that of this line")
        self.cut = self.size if self.size in self.damaged else self.cut
        if self.close is not None and not (self.ended or self.after_end or self.cut == self.size):
            self.find("TRUNCATED", self.close, "the checkpoint after the close line is not there")
            self.cut = self.size
        if not self.genesis:
            unchecked.append(f"{self.host}/{self.id}: no sound genesis")
# ---- §10 the streams of a host ----
def follows(s, first, known):    # by prev, whatever the times say
    for _ in known:
        prev = s and s.genesis and s.genesis["prev"]
        s = known.get(prev["stream"]) if prev else None
        if s is first: return True
def link(streams):
    known, followed = {s.id: s for s in reversed(streams)}, {}      # followed: stream id to its successor
    lines = [(s, line) for s in streams if s.counts for line in s.lines.values() if line.kind == "skip"]
    skips = [line.h for s, line in lines if s.tags.get(line.seq) is not False]
    for s in [s for s in streams if s.counts and not s.genesis["prev"]][1:]:
        s.find("UNLINKED", 0, "prev is null, and that of an earlier stream too")
    for s in [s for s in streams if s.counts and s.genesis["prev"]]:
        prev = s.genesis["prev"]
        if prev["stream"] not in known:
            gone = f"stream {s.id} follows {prev['stream']}, which is not here"
            named = [h["target"] for h in skips if (h["stream"], h["from"]) == (prev["stream"], 0)]
            before = (o for o in streams[:streams.index(s)] if o.counts and not follows(o, s, known))
            named += [] if any(before) else s.genesis["targets"]
            if not named or given.target and not {*given.target} & {*named}: find("STREAM-MISSING", s.host, prev["stream"], None, gone)
            else: s.find("SKIPPED", 0, gone), unchecked.extend([] if given.target else [f"{gone}: --target says whether it may"])
        elif followed.setdefault(prev["stream"], s) is not s:
            s.find("FORK", 0, f"a second stream whose prev names {prev['stream']}")
    for h in [h for h in skips if h["from"] and h["stream"] not in known]:
        had = f"{h['target']} had lines of stream {h['stream']}, which is not here"
        if h["target"] in (given.target or []): find("STREAM-MISSING", streams[0].host, h["stream"], None, had)
        elif not given.target: unchecked.append(f"{had}: --target says whether it must")
    for s in [s for s in streams if s.genesis and not s.counts and s.genesis["prev"]]:
        followed.setdefault(s.genesis["prev"]["stream"], s)         # it accuses nobody, but the one before has ended
    for s in [s for s in streams if s.genesis and s.size and not s.after_end and s.cut != s.size]:
        by = followed.get(s.id)
        prev = by and by.counts and by.genesis["prev"]
        if not by and not s.ended:
            age = datetime.now(timezone.utc) - datetime.fromisoformat((s.heard or s.last.h["time"])[:19] + "+00:00")
            s.find("OPEN" if age.total_seconds() <= OPEN_SECONDS else "SILENCE", s.size - 1, "no close line")
        elif prev and prev["size"] > s.size:
            s.find("ROLLBACK" if s.last.kind == "checkpoint" else "TRUNCATED", s.size, f"of {prev['size']} lines")
        elif prev and prev["size"] < s.size:
            s.find("FORGED", prev["size"], "the next stream knows fewer lines")
        elif prev and s.intact and (fold(s.edge), s.last.leaf) != (un_b64url(prev["root"]), un_b64url(prev["leaf"])):
            s.find("FORK", s.size - 1, "the next stream knows other lines")
        elif prev and not s.ended and not prev["clean"]:
            s.find("UNCLEAN-END", s.size - 1, "no close line; the next stream knows this end")
options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("archive", type=pathlib.Path), options.add_argument("--identity"), options.add_argument("--target", action="append")
options.add_argument("--host-key", action="append", default=[], type=pathlib.Path)
given = options.parse_args()
IDENTITY, TRUSTED = given.identity, {spki(serialization.load_pem_public_key(f.read_bytes())) for f in given.host_key}
if not IDENTITY:
    find("PUBLIC-ONLY", None, None, None, "no identity: tags are not checked")
for host in sorted(given.archive.glob("*/")):
    streams = [Stream(folder) for folder in sorted(host.glob("*/"))]
    for stream in streams:
        stream.read()
        lines = [stream.lines[seq] for seq in sorted(stream.lines)]
        ends = [0, *(at for at, line in enumerate(lines, 1) if line.kind == "checkpoint"), len(lines)]
        for run in (lines[a:b] for a, b in zip(ends, ends[1:]) if a < b):
            stream.take(run)
        stream.finish()
    link(sorted(streams, key=lambda s: (s.genesis["time"] if s.genesis else "", s.id)))
    total["streams"] += len(streams)
unchecked += [] if total["lines"] else ["no line of any stream"]
print("".join(f"unchecked: {reason}\n" for reason in unchecked), end="", file=sys.stderr)
result, status = ("findings", 1) if total["alarm"] else ("unchecked", 2) if unchecked else ("intact", 0)
print(json.dumps({"result": result, **{name: total[name] for name in ("lines", "log_lines", "streams", "segments")}}))
sys.exit(status)

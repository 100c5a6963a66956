#!/usr/bin/python3
"""Reads a bank on disk, written from docs/bank-format.md and docs/keys.md alone. With records.py, it is the format.

    read_bank.py --bank DIR --keys KEYFILE --tenant T list
    read_bank.py --bank DIR --keys KEYFILE --tenant T graph CHECKPOINT
    read_bank.py --bank DIR --keys KEYFILE --tenant T changes CHECKPOINT
    read_bank.py --bank DIR --keys KEYFILE --tenant T restore CHECKPOINT VOLUME OUT
    read_bank.py --bank DIR --keys KEYFILE --tenant T check

VOLUME is the id of the resource, or TYPE/ID. Needs Python 3.11 and Debian's python3-cryptography and python3-zstandard.
"""

from __future__ import annotations

import argparse
import base64
import graphlib
import hmac
import json
import re
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from records import PROOFS, RECORDS, Json, Refused, fits, id_, is_a_set, kinds_at, pack_name, parse_json, text

# --- Keys ---


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def decrypt(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError):
        raise Refused("does not authenticate") from None


def unseal(key: bytes, counter: int, sealed: bytes, associated: bytes) -> bytes:
    return decrypt(key, struct.pack("<I8x", counter), sealed, associated)


def unbase64(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise Refused("not base64") from None


class DataKey(NamedTuple):
    secret: bytes
    repository: bytes
    made: int

    def id(self) -> str:
        return hmac_sha256(self.secret, b"fafnir/1/key-id").hex()[:16]

    def derive(self, salt: bytes | None, info: str, length: int) -> bytes:
        return HKDF(SHA256(), length, salt, info.encode()).derive(self.secret)

    def chunk_id(self, data: bytes) -> bytes:
        return hmac_sha256(self.derive(None, "fafnir/1/chunk-id", 32), data)

    def committed(self, salt: bytes, info: str, commitment: bytes) -> bytes:
        """The key of an object, once its commitment is found to be the stored one."""
        both = self.derive(salt, info, 64)
        if both[32:] != commitment:
            raise Refused("the commitment is not the key's")
        return both[:32]


def read_key_file(path: Path) -> dict[str, bytes]:
    """Key-encryption keys by id."""
    file = parse_json(path.read_bytes())
    if not fits(file, {"version": 1, "keys": [{"id": pack_name, "key": text}]}):
        raise Refused("not a key file of version 1")
    keys = {entry["id"]: unbase64(entry["key"]) for entry in file["keys"]}
    for kek, key in keys.items():
        if len(key) != 32 or hmac_sha256(key, b"fafnir key-encryption key").hex()[:32] != kek:
            raise Refused(f"the key {kek} of the key file is damaged")
    return keys


# --- Objects and packs ---

OBJECT_HEAD = struct.Struct("<8s8s16s32s")  # magic, data key, salt, commitment
PACK_TAIL = struct.Struct("<II8s32s8s")  # count, bytes of the header, data key, commitment, magic
ENTRY = struct.Struct("<32sIII")  # chunk id, bytes, bytes in the pack, flags
INDEX_PACK = struct.Struct("<16s8sI")  # name, data key, count
MAX_JSON, MAX_WINDOW, MIN_CHUNK, MAX_CHUNK = 64 << 20, 8 << 20, 262_144, 4_194_304


class Place(NamedTuple):
    """Where a chunk is. Nothing else of its pack is needed to open it."""

    pack: bytes
    key: str
    number: int
    begin: int
    id: bytes
    size: int
    stored: int
    flags: int


def parse_entries(pack: bytes, key: bytes, entries: bytes) -> list[Place]:
    found = []
    begin = 0
    for number, (chunk, size, stored, flags) in enumerate(ENTRY.iter_unpack(entries)):
        if flags not in (0, 1) or not 1 <= size <= MAX_CHUNK:
            raise Refused(f"an entry of {size} bytes with flags {flags}")
        found.append(Place(pack, key.hex(), number, begin, chunk, size, stored, flags))
        begin += stored
    if not 1 <= len(found) <= 65_535:
        raise Refused(f"a pack of {len(found)} chunks")
    return found


def unzstd(frame: bytes, most: int) -> bytes:
    """What one frame holds."""
    frames = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
    try:
        data = frames.decompress(frame)
    except zstandard.ZstdError as error:
        raise Refused(f"not a zstd frame: {error}") from None
    if len(data) > most or not frames.eof or frames.unused_data:
        raise Refused(f"not one zstd frame of at most {most} bytes")
    return data


class Tenant:
    """What a tenant has in a directory, where an object's key is its path."""

    def __init__(self, bank: Path, name: str, kek_by_id: dict[str, bytes]) -> None:
        if not fits(name, id_):
            raise Refused(f"not a tenant: {name}")
        self.bank, self.name, self.kek_by_id = bank, name, kek_by_id
        self.problems: dict[str, None] = {}  # what was refused, each once and in order
        self.keys: dict[str, DataKey] = {}
        for object_key in self.list("keys"):
            self.attempt(object_key, self.unwrap)

    def attempt(self, object_key: str, read: Callable[[str], Any]) -> Any:
        """What is read, or None. Where something is refused, all else may still be good."""
        try:
            return read(object_key)
        except Refused as error:
            self.problems[f"{object_key}: {error}"] = None
            return None

    def get(self, object_key: str, begin: int = 0, length: int = -1) -> bytes:
        try:
            with open(self.bank / object_key, "rb") as file:
                file.seek(begin)
                return file.read(length)
        except OSError as error:
            raise Refused(f"{object_key}: {error.strerror}") from None

    def list(self, folder: str) -> list[str]:
        """The keys below a folder, ascending. A name that begins with a point is no object."""
        files = [path for path in (self.bank / self.name / folder).rglob("*") if path.is_file()]
        keys = [path.relative_to(self.bank).as_posix() for path in files]
        return sorted(key for key in keys if "/." not in key)

    def unwrap(self, object_key: str) -> None:
        kinds_at(object_key)
        key_id, _, kek = object_key.rpartition("/")[2].partition("=")
        record = parse_json(self.get(object_key))
        if not fits(record, {"format": 1, "kind": "key", "by": kek, "bytes": text}):
            raise Refused("not the wrapped key of its name")
        if kek not in self.kek_by_id:
            return
        wrapped, context = unbase64(record["bytes"]), f"fafnir/1/{self.name}/{key_id}"
        plain = decrypt(self.kek_by_id[kek], wrapped[:12], wrapped[12:], context.encode())
        key = DataKey(plain[:32], plain[32:48], int.from_bytes(plain[48:], "big"))
        if len(plain) != 56 or key.id() != key_id or self.keys.setdefault(key_id, key) != key:
            raise Refused("not the key of its name, or not as it is wrapped elsewhere")

    def key(self, key_id: str) -> DataKey:
        if key_id not in self.keys:
            raise Refused(f"the data key {key_id} is not there, or wrapped by a key that is not in the key file")
        return self.keys[key_id]

    def open(self, object_key: str) -> bytes:
        """What a sealed object holds."""
        sealed = self.get(object_key)
        if sealed[:8] != b"fafobj1\n" or len(sealed) < OBJECT_HEAD.size:
            raise Refused("not a sealed object of version 1")
        _, key_id, salt, commitment = OBJECT_HEAD.unpack_from(sealed)
        key = self.key(key_id.hex())
        subkey = key.committed(salt, "fafnir/1/record", commitment)
        return unseal(subkey, 0, sealed[OBJECT_HEAD.size :], key.repository + object_key.encode())

    def record(self, object_key: str, kind: str = "") -> Json:
        return self.record_and_json(object_key, kind)[0]

    def record_and_json(self, object_key: str, kind: str = "") -> tuple[Json, bytes]:
        kinds = kinds_at(object_key)
        data = unzstd(self.open(object_key), MAX_JSON)
        record = parse_json(data)
        found = record.get("kind") if isinstance(record, dict) else None
        if not isinstance(found, str) or not re.fullmatch(kind or kinds, found):
            raise Refused(f"a record of kind {found}")
        if not fits(record, {"format": 1, "kind": found} | RECORDS.get(found, {})):
            raise Refused(f"a record that is not as a {found} is")
        return record, data

    def index(self, object_key: str) -> list[Place]:
        kinds_at(object_key)
        content, found, at = self.open(object_key), [], 4
        try:
            for _ in range(struct.unpack_from("<I", content)[0]):
                name, key_id, count = INDEX_PACK.unpack_from(content, at)
                at += INDEX_PACK.size + count * ENTRY.size
                found += parse_entries(name, key_id, content[at - count * ENTRY.size : at])
        except struct.error:
            raise Refused("an index that is cut off") from None
        if at != len(content):
            raise Refused("an index that does not end with its packs")
        return found

    def header(self, object_key: str) -> list[Place]:
        kinds_at(object_key)
        data = self.get(object_key)
        if data[-8:] != b"fafpack1" or len(data) < PACK_TAIL.size:
            raise Refused("not a pack of version 1")
        count, length, key_id, commitment, _ = PACK_TAIL.unpack(data[-PACK_TAIL.size :])
        begin = len(data) - PACK_TAIL.size - length
        if length != count * ENTRY.size + 16 or begin < 0:
            raise Refused("the end of the pack is damaged")
        name, key = bytes.fromhex(object_key[-32:]), self.key(key_id.hex())
        subkey = key.committed(name, "fafnir/1/pack", commitment)
        associated = key.repository + name + struct.pack("<I", count)
        found = parse_entries(name, key_id, unseal(subkey, 0xFFFF_FFFF, data[begin : begin + length], associated))
        if sum(place.stored for place in found) != begin:
            raise Refused("the chunks do not fill the pack")
        return found

    @cache
    def places(self, object_key: str) -> dict[bytes, list[Place]]:
        """What an index or the header of a pack tells, by chunk id."""
        read = self.header if object_key.split("/")[1] == "data" else self.index
        found = defaultdict(list)
        for place in self.attempt(object_key, read) or []:
            found[place.id].append(place)
        return found

    def chunk(self, place: Place) -> bytes:
        """The bytes of a chunk; its id is still to be checked."""
        key, name = self.key(place.key), place.pack.hex()
        sealed = self.get(f"{self.name}/data/{name[:2]}/{name}", place.begin, place.stored)
        associated = key.repository + place.pack + place.id
        associated += struct.pack("<III", place.number, place.size, place.flags)
        data = unseal(key.derive(place.pack, "fafnir/1/pack", 64)[:32], place.number, sealed, associated)
        data = unzstd(data, place.size) if place.flags else data
        if len(data) != place.size:
            raise Refused("a chunk of a wrong length")
        return data


# --- Volumes ---

PAGE_IDS = 4_096
ZERO_ID = bytes(32)


class Archive:
    """A volume, as its manifest names it."""

    def __init__(self, tenant: Tenant, manifest_key: str) -> None:
        manifest = tenant.record(manifest_key)
        self.tenant, self.size, self.chunk_size = tenant, manifest["size"], manifest["chunkSize"]
        self.count = -(-self.size // self.chunk_size) if self.chunk_size else 0
        self.pages = [bytes.fromhex(page) for page in manifest["pages"]]
        if self.chunk_size not in [MIN_CHUNK << n for n in range(5)] or len(self.pages) != -(-self.count // PAGE_IDS):
            raise Refused(f"chunks of {self.chunk_size} bytes and {len(self.pages)} pages for {self.size} bytes")
        if not is_a_set(manifest["indexes"]):
            raise Refused("an index twice")
        self.id_key = tenant.key(manifest["idKey"])
        # Where to look for a chunk: first in the indexes that are named, at last in the packs themselves.
        named = {f"{tenant.name}/index/{name}" for name in manifest["indexes"]}
        self.sources = sorted(tenant.list("index"), key=lambda key: key not in named) + tenant.list("data")
        self.damaged = {bytes.fromhex(key[-32:]) for key in tenant.list("damage")}

    def places(self, chunk: bytes) -> Iterator[Place]:
        for damaged in (False, True):
            for source in self.sources:
                found = self.tenant.places(source).get(chunk, [])
                yield from (place for place in found if (place.pack in self.damaged) == damaged)

    def chunk(self, chunk: bytes, size: int) -> bytes:
        reasons = [f"chunk {chunk.hex()} is nowhere"]
        for place in self.places(chunk):
            try:
                data = self.tenant.chunk(place)
                if len(data) == size and self.id_key.chunk_id(data) == chunk:
                    return data
                reasons.append(f"pack {place.pack.hex()}: its bytes are not those of its id")
            except Refused as error:
                reasons.append(f"pack {place.pack.hex()}: {error}")
        raise Refused("; ".join(reasons))

    def chunk_ids(self) -> Iterator[tuple[int, bytes]]:
        """Number and id of each chunk that is not all zeros, in order."""
        for first, page_id in zip(range(0, self.count, PAGE_IDS), self.pages):
            if page_id != ZERO_ID:
                page = self.chunk(page_id, 32 * min(PAGE_IDS, self.count - first))
                ids = [page[at : at + 32] for at in range(0, len(page), 32)]
                yield from ((first + n, chunk) for n, chunk in enumerate(ids) if chunk != ZERO_ID)

    def length_of(self, n: int) -> int:
        return min(self.chunk_size, self.size - n * self.chunk_size)

    def restore(self, out: Path) -> bool:
        # Under another name until all of it is there: a volume that is whole in part looks like a whole one.
        part = out.with_name(out.name + ".part")
        try:
            with open(part, "wb") as file:
                file.truncate(self.size)
                for n, chunk in self.chunk_ids():
                    file.seek(n * self.chunk_size)
                    file.write(self.chunk(chunk, self.length_of(n)))
            part.replace(out)
            return True
        finally:
            part.unlink(missing_ok=True)


# --- Checkpoints ---


class Checkpoint:
    """A commit and what became of it. What is damaged of them is None, or not among the addenda."""

    def __init__(self, tenant: Tenant, commit_key: str) -> None:
        self.tenant, self.key = tenant, commit_key
        self.id, _, self.plan = commit_key.rpartition("/")[2].partition("=")
        self.commit = tenant.attempt(commit_key, self.read_commit)
        addenda = {key: tenant.attempt(key, tenant.record) for key in tenant.list(f"addenda/{self.id}")}
        self.addenda = [one | {"name": key.rpartition("/")[2]} for key, one in addenda.items() if one]
        self.lost = len(self.addenda) < len(addenda)
        self.removed = any(addendum["kind"] == "removed" for addendum in self.addenda)

    def read_commit(self, commit_key: str) -> Json:
        commit = self.tenant.record(commit_key)
        if (commit["tenant"], commit["id"], commit["plan"]["id"]) != (self.tenant.name, self.id, self.plan):
            raise Refused("not the commit of its name")
        return commit

    @cached_property
    def artifacts(self) -> Json:
        if self.removed or not self.commit:
            return None
        key = f"{self.tenant.name}/artifacts/{self.id}={self.commit['artifacts']['digest']}"
        return self.tenant.attempt(key, self.tenant.record)

    @cached_property
    def volumes(self) -> list[Json]:
        """The volumes with the copies that are left."""
        entries = [entry for entry in (self.artifacts or {"artifacts": []})["artifacts"] if entry["volume"]]
        return [entry["volume"] | {"resource": entry["resource"], "copies": self.left(entry)} for entry in entries]

    def left(self, entry: Json) -> list[Json]:
        left, volume = [], {name: entry["volume"]["volume"][name] for name in ("array", "id")}
        added = [one for one in self.addenda if one["kind"] == "copy-added"]
        later = [one["copy"] for one in sorted(added, key=lambda one: one["name"])]
        copies = {}
        for copy in entry["volume"]["copies"] + [one for one in later if one["volume"] == one["volume"] | volume]:
            copies.setdefault((copy["kind"], copy["location"]), copy)
        for copy in copies.values():
            meant = {"volume": volume, "copy": {name: copy[name] for name in ("kind", "location")}}
            about = [addendum for addendum in self.addenda if addendum == addendum | meant]
            proven = [addendum for addendum in about if addendum["kind"] == "copy-proven"]
            superseded = {name for addendum in proven for name in addendum.get("supersedes", [])}
            if all(one in proven or one["kind"] == "copy-lost" and one["name"] in superseded for one in about):
                proofs = [copy["proof"], *(addendum["proof"] for addendum in proven)]
                left.append(copy | {"proof": max(proofs, key=PROOFS.index)})
        return left

    def state(self) -> str:
        if self.removed:
            return "removed"
        if not self.commit or self.lost or (self.addenda and not self.artifacts):
            return "failed"
        kept = [any(map(counts, volume["copies"])) for volume in self.volumes]
        if kept and not any(kept):
            return "failed"
        return "available" if all(kept) and self.commit["missing"] == self.commit["incomplete"] == 0 else "partial"

    def manifest_keys(self, volume: Json) -> list[str]:
        references = [copy["reference"] for copy in volume["copies"] if copy["kind"] == "archive"]
        return [f"{self.tenant.name}/manifests/{one['token']}={one['digest']}" for one in references]

    def graph(self) -> Json:
        prefix = f"{self.tenant.name}/graphs/{self.id}="
        index = self.tenant.record(prefix + self.commit["graph"]["digest"], "graph")
        graph = {part: self.entries(index, "graph", part) for part in RECORDS["graph"]}
        check_graph(graph)
        return graph

    def entries(self, index: Json, kind: str, part: str) -> list[Json]:
        prefix = f"{self.tenant.name}/graphs/{self.id}="
        segments = [self.tenant.record(prefix + one, f"{kind}-{part}")["entries"] for one in index[part]["segments"]]
        found = [entry for entries in segments for entry in entries]
        count = sum(len(row) - 1 for row in found) if part == "edges" else len(found)
        if count != index[part]["count"] or not all(segments):
            raise Refused(f"the {kind} has {count} {part}, not as many as it says, or an empty segment")
        return found

    def changes(self) -> Json:
        """What the commit tells, with resources of the graph for positions; None where it tells nothing."""
        told = self.commit.get("changes")
        if not told or told["since"] is None:
            return told
        lists = {"joined": [], "left": []}
        if told["lists"] is not None:
            index = self.tenant.record(f"{self.tenant.name}/graphs/{self.id}={told['lists']}", "changes")
            lists = {part: self.entries(index, "changes", part) for part in lists}
        resources = self.graph()["resources"]
        check_changes(told, lists, len(resources))
        named = [{name: resources[at][name] for name in ("type", "id", "name")} for at in lists["joined"]]
        return {"since": told["since"], "joined": named, "left": lists["left"]}


def counts(copy: Json) -> bool:
    """What a service outside says that it has is no copy until it was compared."""
    return copy["kind"] != "external" or copy["proof"] in ("source-compared", "restored")


def utf16(resource: Json) -> tuple[bytes, bytes]:
    """Sorts as the UTF-16 code units of a resource key do."""
    return tuple(resource[name].encode("utf-16-be", "surrogatepass") for name in ("type", "id"))


def check_graph(graph: Json) -> None:
    count = len(graph["resources"])
    if any(not 2 <= len(row) <= 4_097 or max(row) >= count for row in graph["edges"]):
        raise Refused("a row of edges of a wrong length, or of a resource that is not in the graph")
    edges = [(row[0], to) for row in graph["edges"] for to in row[1:]]
    if count > 16_777_216 or len(edges) > 134_217_728:
        raise Refused("a graph that is too large")
    lists = [[utf16(entry.get("resource", entry)) for entry in graph[part]] for part in graph if part != "edges"]
    if any(a >= b for keys in [edges, *lists] for a, b in zip(keys, keys[1:])):
        raise Refused("a part of the graph is not ascending")
    targets = defaultdict(list)
    for from_, to in edges:
        targets[from_].append(to)
    try:
        graphlib.TopologicalSorter(targets).prepare()
    except graphlib.CycleError:
        raise Refused("a resource of the graph depends on itself") from None


def check_changes(told: Json, lists: Json, resources: int) -> None:
    if {part: len(found) for part, found in lists.items()} != {part: told[part] for part in lists}:
        raise Refused("changes that are not as many as the commit says")
    if (told["lists"] is None) != (told["joined"] + told["left"] == 0):
        raise Refused("changes without lists, or lists without changes")
    if any(at >= resources for at in lists["joined"]):
        raise Refused("a resource that joined and is not in the graph")
    for keys in (lists["joined"], list(map(utf16, lists["left"]))):
        if any(a >= b for a, b in zip(keys, keys[1:])):
            raise Refused("a list of changes is not ascending")


# --- Checking ---


class Check:
    """Opens all that a tenant has, then looks whether all that its checkpoints need is there."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.good: dict[bytes, int] = {}  # bytes of each good chunk
        checks = {"keys": tenant.unwrap, "data": self.check_pack, "index": tenant.index}
        for object_key in tenant.list(""):
            tenant.attempt(object_key, checks.get(object_key.split("/")[1], self.check_record))
        for commit_key in tenant.list("commits"):
            tenant.attempt(commit_key, self.check_checkpoint)

    def check_pack(self, object_key: str) -> None:
        keys = list(self.tenant.keys.values())
        for place in self.tenant.header(object_key):
            data = self.tenant.attempt(f"{object_key} chunk {place.number}", lambda _: self.tenant.chunk(place))
            # A pack does not say which data key made its chunk ids, but it is one for all of them.
            keys = [key for key in keys if data is None or key.chunk_id(data) == place.id]
            if not keys:
                raise Refused(f"the bytes of chunk {place.number} are not those of its id")
            if data is not None:
                self.good[place.id] = place.size

    def check_record(self, object_key: str) -> None:
        record, data = self.tenant.record_and_json(object_key)
        oldest = min(self.tenant.keys.values(), key=lambda key: (key.made, key.id()))
        if "=" in object_key and record["kind"] != "checkpoint" and oldest.chunk_id(data).hex() != object_key[-64:]:
            raise Refused("not the record of its digest")
        if record["kind"] == "damage" and record["pack"] != object_key[-32:]:
            raise Refused("not of its pack")

    def check_checkpoint(self, commit_key: str) -> None:
        checkpoint = Checkpoint(self.tenant, commit_key)
        if not checkpoint.artifacts:
            return
        graph, commit, artifacts = checkpoint.graph(), checkpoint.commit, checkpoint.artifacts
        checkpoint.changes()
        volumes = [entry["volume"] for entry in artifacts["artifacts"] if entry["volume"]]
        counts = {name: len(graph[name]) for name in ("excluded", "incomplete")}
        counts |= {"missing": len(artifacts["missing"]), "volumes": len(volumes)}
        counts |= {"bytes": sum(volume["volume"]["size"] for volume in volumes)}
        pointers = (commit["graph"]["count"], commit["artifacts"]["count"])
        if pointers != (len(graph["resources"]), len(artifacts["artifacts"])) or commit != commit | counts:
            raise Refused("does not have as many as it says")
        found = [entry["resource"] for name in ("artifacts", "missing") for entry in artifacts[name]]
        if sorted(map(utf16, found)) != sorted(map(utf16, graph["resources"])):
            raise Refused("the artifacts are not those of the graph")
        sets = [[(copy["kind"], copy["location"]) for copy in volume["copies"]] for volume in volumes]
        if not all(map(is_a_set, [*sets, [(one["volume"]["array"], one["volume"]["id"]) for one in volumes]])):
            raise Refused("a volume or a copy twice")
        for volume in checkpoint.volumes:
            sizes = [copy["volume"]["size"] for copy in volume["copies"] if copy["kind"] == "archive"]
            for object_key, size in zip(checkpoint.manifest_keys(volume), sizes):
                self.tenant.attempt(object_key, lambda key: self.check_archive(key, size))

    def check_archive(self, object_key: str, size: int) -> None:
        archive = Archive(self.tenant, object_key)
        if archive.size != size:
            raise Refused(f"has {archive.size} bytes, and its copy {size}")
        for n, chunk in archive.chunk_ids():
            if self.good.get(chunk) != archive.length_of(n):
                raise Refused(f"chunk {n}, {chunk.hex()}, is nowhere, or of a wrong length")


# --- Commands ---


def find_checkpoint(tenant: Tenant, wanted: str) -> Checkpoint:
    for commit_key in tenant.list("commits"):
        checkpoint = Checkpoint(tenant, commit_key)
        if checkpoint.id == wanted and checkpoint.commit and not checkpoint.removed:
            return checkpoint
    raise Refused(f"there is no checkpoint {wanted}, or its commit is damaged")


def run_list(tenant: Tenant) -> int:
    for commit_key in tenant.list("commits"):
        checkpoint = Checkpoint(tenant, commit_key)
        line = {"id": checkpoint.id, "plan": checkpoint.plan, "state": checkpoint.state()}
        line |= {"createdAt": checkpoint.commit and checkpoint.commit["createdAt"], "volumes": []}
        for volume in checkpoint.volumes:
            copies = [{"kind": copy["kind"], "proof": copy["proof"]} for copy in volume["copies"]]
            line["volumes"].append(volume["resource"] | {"size": volume["volume"]["size"], "copies": copies})
        print(json.dumps(line))
    return 1 if tenant.problems else 0


def run_graph(tenant: Tenant, wanted: str) -> int:
    print(json.dumps(find_checkpoint(tenant, wanted).graph()))
    return 0


def run_changes(tenant: Tenant, wanted: str) -> int:
    print(json.dumps(find_checkpoint(tenant, wanted).changes()))
    return 0


def run_restore(tenant: Tenant, wanted: str, name: str, out: str) -> int:
    checkpoint = find_checkpoint(tenant, wanted)
    for volume in checkpoint.volumes:
        key = volume["resource"]
        if name in (key["id"], f"{key['type']}/{key['id']}"):
            for object_key in checkpoint.manifest_keys(volume):
                if tenant.attempt(object_key, lambda key: Archive(tenant, key).restore(Path(out))):
                    return 0
    raise Refused(f"checkpoint {wanted} has no archive of {name} that can be read")


def run_check(tenant: Tenant) -> int:
    if not tenant.keys:
        # Else a tenant that is not there at all would pass.
        raise Refused("no data key can be unwrapped")
    Check(tenant)
    problems = list(tenant.problems)
    tenant.problems.clear()
    print("".join(f"{problem}\n" for problem in problems), end="")
    return 1 if problems else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Reads a Fafnir bank on disk.")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("command", choices=("list", "graph", "changes", "restore", "check"))
    parser.add_argument("arguments", nargs="*", help="of graph, changes: CHECKPOINT; of restore: CHECKPOINT VOLUME OUT")
    options = parser.parse_args(arguments)
    runs = {"list": run_list, "graph": run_graph, "changes": run_changes, "restore": run_restore, "check": run_check}
    run = runs[options.command]
    if len(options.arguments) != {"graph": 1, "changes": 1, "restore": 3}.get(options.command, 0):
        parser.error("too few or too many arguments")
    problems: Iterable[str] = []
    try:
        tenant = Tenant(options.bank, options.tenant, read_key_file(options.keys))
        problems = tenant.problems
        code = run(tenant, *options.arguments)
    except (Refused, OSError) as error:
        problems = [*problems, str(error)]
        code = 1
    print("".join(f"read_bank: {problem}\n" for problem in problems), end="", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

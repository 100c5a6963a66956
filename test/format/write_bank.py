#!/usr/bin/python3
"""Writes a small bank of fixed contents, from docs/bank-format.md and docs/keys.md alone.

    write_bank.py DIR          makes DIR/bank, DIR/keys.json and DIR/expected.json
    write_bank.py --vectors    prints test vectors

Shares no code with a reader, nor with the SDK: what these agree on, they have from the documents. All that is random
in a true bank comes here from a fixed seed, and zstd frames are made by hand, so the output never changes.
Needs Python 3.11 and Debian's python3-cryptography.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Json = Any

# --- What is in the bank ---

TENANT, BANK, ARRAY = "acme", "bank-1", "array-1"
CHUNK = 262_144
PAGE_IDS = 4_096
ZERO_ID = bytes(32)


def draw(label: str, length: int) -> bytes:
    """Bytes that look random, the same for the same label."""
    return hashlib.shake_256(f"fafnir bank format 1, test vectors/{label}".encode()).digest(length)


def name_of(label: str) -> str:
    return draw(label, 16).hex()


class Volume(NamedTuple):
    """A volume by its chunks that are not all zeros."""

    size: int
    chunks: dict[int, bytes]


def two_bytes(pair: str) -> bytes:
    """A chunk of which each half repeats one byte: it compresses to two blocks of 4 bytes."""
    return b"".join(byte.encode() * (CHUNK // 2) for byte in pair)


def volumes(second: bool) -> dict[str, Volume]:
    # Chunks 2 and 6 of the disk are equal. Its last chunk is random, so it is stored as it is.
    disk = {n: two_bytes(pair) for n, pair in enumerate(["ab", "ba", "cd", "ef", "gh", "ij", "cd"])}
    disk[12] = draw("chunk/end", 1_000)
    # The sparse volume has two pages, of which only the second differs in the second checkpoint.
    sparse = {0: two_bytes("kl"), 4_095: two_bytes("ab"), 4_096: b"m" * 1_000}
    if second:
        disk |= {1: two_bytes("no"), 9: two_bytes("pq")}
        sparse[4_096] = b"r" * 1_000
    return {
        "disk": Volume(12 * CHUNK + 1_000, disk),
        "sparse": Volume(PAGE_IDS * CHUNK + 1_000, sparse),
        "zeros": Volume(8 * CHUNK + 1, {}),
    }


def key_of(type_: str, id_: str) -> Json:
    return {"type": type_, "id": id_}


# Ascending by type and id as UTF-16 code units: the id that begins with a surrogate is before the one with U+FF5E,
# though its code point is the higher one.
RESOURCES = [
    key_of("instance", "i-1") | {"name": "web", "attributes": {"cpus": 2, "note": None}, "tags": {"team": "blue"}},
    key_of("instance", "i-2") | {"name": "db", "attributes": {"load": 0.5}},
    key_of("network", "\U0001f600") | {"name": "emoji", "attributes": {}},
    key_of("network", "\uff5e") | {"name": "wave", "attributes": {"range": ["10.0.0.0/8"]}},
    key_of("volume", "disk") | {"name": "data of web", "attributes": {}},
    key_of("volume", "sparse") | {"name": "mostly a hole", "attributes": {}},
    key_of("volume", "zeros") | {"name": "nothing", "attributes": {}},
]
EDGES = [[0, 2, 4], [1, 3], [1, 5, 6], [3, 2]]
EXCLUDED = [key_of("instance", "i-3")]
ERROR = {"code": "timeout", "message": "No answer.", "retryable": True, "hint": "Try again."}
PLAN = {
    "id": "plan-1",
    "name": "Everything",
    "resources": [{"type": "instance", "tags": {"team": "blue", "old": None}}, key_of("instance", "i-2")],
    "exclude": [key_of("instance", "i-3"), {"attributes": {"cpus": 4}}],
    "dependencies": [{"from": key_of("network", "\uff5e"), "to": key_of("network", "\U0001f600")}],
    "incomplete": "allow",
    "onFailure": "continue",
}


class Checkpoint(NamedTuple):
    id: str
    base: str | None
    created_at: str
    volumes: dict[str, Volume]
    incomplete: list[Json]
    missing: list[Json]


WAVE = key_of("network", "\uff5e")
FIRST = Checkpoint("checkpoint-1", None, "2026-01-02T03:04:05.678Z", volumes(False), [], [])
SECOND = Checkpoint(
    *("checkpoint-2", FIRST.id, "2026-01-03T03:04:05.678Z", volumes(True)),
    incomplete=[{"resource": WAVE, "error": ERROR}],
    missing=[{"resource": key_of("instance", "i-2"), "cause": WAVE, "error": ERROR}],
)

# --- zstd, by hand ---


def zstd_frame(data: bytes) -> bytes:
    """A frame (RFC 8878) that holds its size and has no checksum. It is a single segment: its window is its size."""
    blocks = list(zstd_blocks(data))
    out = struct.pack("<IBI", 0xFD2F_B528, 0b1010_0000, len(data))
    for n, (type_, size, body) in enumerate(blocks):
        last = n == len(blocks) - 1
        out += (size << 3 | type_ << 1 | last).to_bytes(3, "little") + body
    return out


def zstd_blocks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, size and body: a run of one byte is a block of type 1, all between is of type 0, as it is."""
    at = 0
    # No block may have more than 131,072 bytes; what is between runs is always less here.
    for run in re.finditer(rb"(.)\1{63,131071}", data, re.DOTALL):
        if at < run.start():
            yield 0, run.start() - at, data[at : run.start()]
        yield 1, len(run[0]), run[1]
        at = run.end()
    if at < len(data) or not data:
        yield 0, len(data) - at, data[at:]


# --- Keys ---


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(secret: bytes, salt: bytes, info: str, length: int) -> bytes:
    """RFC 5869; no salt is the same as 32 zero bytes."""
    key = hmac_sha256(salt or bytes(32), secret)
    out = block = b""
    for n in range(1, length // 32 + 1):
        block = hmac_sha256(key, block + info.encode() + bytes([n]))
        out += block
    return out


class DataKey(NamedTuple):
    secret: bytes
    repository: bytes
    made: int

    def id(self) -> bytes:
        return hmac_sha256(self.secret, b"fafnir/1/key-id")[:8]

    def chunk_id_key(self) -> bytes:
        return hkdf(self.secret, b"", "fafnir/1/chunk-id", 32)

    def key_and_commitment(self, salt: bytes, what: str) -> tuple[bytes, bytes]:
        both = hkdf(self.secret, salt, f"fafnir/1/{what}", 64)
        return both[:32], both[32:]


MADE = 1_767_225_600_000  # 2026-01-01T00:00:00Z
KEK = draw("key-encryption key", 32)
KEK_ID = hmac_sha256(KEK, b"fafnir key-encryption key").hex()[:32]
OLD_KEY = DataKey(draw("data key 1", 32), draw("repository", 16), MADE)
NEW_KEY = DataKey(draw("data key 2", 32), draw("repository of data key 2", 16), MADE + 86_400_000)


def to_json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def wrapped_key(key: DataKey) -> tuple[str, bytes]:
    """Its name and its object."""
    nonce = draw(f"nonce/{key.id().hex()}", 12)
    plain = key.secret + key.repository + struct.pack(">Q", key.made)
    wrapped = nonce + AESGCM(KEK).encrypt(nonce, plain, f"fafnir/1/{TENANT}/{key.id().hex()}".encode())
    record = {"format": 1, "kind": "key", "by": KEK_ID, "bytes": base64.b64encode(wrapped).decode()}
    return f"{TENANT}/keys/{key.id().hex()}={KEK_ID}", to_json(record)


# --- Objects ---


def seal(key: bytes, counter: int, plain: bytes, associated: bytes) -> bytes:
    return AESGCM(key).encrypt(struct.pack("<I8x", counter), plain, associated)


def sealed_object(key: DataKey, object_key: str, content: bytes) -> bytes:
    salt = draw(f"salt/{object_key}", 16)
    subkey, commitment = key.key_and_commitment(salt, "record")
    sealed = seal(subkey, 0, content, key.repository + object_key.encode())
    return b"fafobj1\n" + key.id() + salt + commitment + sealed


def digest_of(data: bytes) -> bytes:
    """The id of a chunk, and the digest of a record. Both are of the oldest key, whatever key seals them."""
    return hmac_sha256(OLD_KEY.chunk_id_key(), data)


class Pack(NamedTuple):
    name: bytes
    key: DataKey
    chunks: list[bytes]

    def object_key(self) -> str:
        return f"{TENANT}/data/{self.name.hex()[:2]}/{self.name.hex()}"

    def entries_and_data(self) -> tuple[bytes, bytes]:
        subkey, _ = self.key.key_and_commitment(self.name, "pack")
        entries = data = b""
        for n, chunk in enumerate(self.chunks):
            frame = zstd_frame(chunk)
            flags, stored = (1, frame) if len(frame) < len(chunk) else (0, chunk)
            numbers = struct.pack("<III", n, len(chunk), flags)
            sealed = seal(subkey, n, stored, self.key.repository + self.name + digest_of(chunk) + numbers)
            entries += digest_of(chunk) + struct.pack("<III", len(chunk), len(sealed), flags)
            data += sealed
        return entries, data

    def object(self) -> bytes:
        subkey, commitment = self.key.key_and_commitment(self.name, "pack")
        entries, data = self.entries_and_data()
        count = struct.pack("<I", len(self.chunks))
        header = seal(subkey, 0xFFFF_FFFF, entries, self.key.repository + self.name + count)
        return data + header + count + struct.pack("<I", len(header)) + self.key.id() + commitment + b"fafpack1"

    def in_index(self) -> bytes:
        return self.name + self.key.id() + struct.pack("<I", len(self.chunks)) + self.entries_and_data()[0]


def index_content(packs: list[Pack]) -> bytes:
    return struct.pack("<I", len(packs)) + b"".join(pack.in_index() for pack in packs)


# --- The writer ---


class Writer:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = OLD_KEY
        self.index_by_id: dict[bytes, str] = {}  # TOKEN/NAME by chunk id

    def put(self, object_key: str, data: bytes) -> None:
        path = self.root / object_key
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)

    def put_sealed(self, object_key: str, content: bytes) -> None:
        self.put(object_key, sealed_object(self.key, object_key, content))

    def put_record(self, object_key: str, kind: str, fields: Json) -> None:
        self.put_sealed(object_key, zstd_frame(to_json({"format": 1, "kind": kind} | fields)))

    def put_digested(self, prefix: str, kind: str, fields: Json) -> str:
        """Puts a record whose key ends with its digest, and tells the digest."""
        digest = digest_of(to_json({"format": 1, "kind": kind} | fields)).hex()
        self.put_record(f"{TENANT}/{prefix}={digest}", kind, fields)
        return digest

    def archive(self, label: str, volume: Volume) -> Json:
        token = name_of(f"token/{label}")
        count = -(-volume.size // CHUNK)
        ids = [digest_of(volume.chunks[n]) if n in volume.chunks else ZERO_ID for n in range(count)]
        pages = [b"".join(ids[n : n + PAGE_IDS]) for n in range(0, count, PAGE_IDS)]
        needed = [*volume.chunks.values(), *filter(any, pages)]
        self.put_chunks(label, token, needed)
        fields = {
            "size": volume.size,
            "chunkSize": CHUNK,
            "idKey": OLD_KEY.id().hex(),
            "pages": [(digest_of(page) if any(page) else ZERO_ID).hex() for page in pages],
            "indexes": sorted({self.index_by_id[digest_of(data)] for data in needed}),
        }
        return {"token": token, "digest": self.put_digested(f"manifests/{token}", "manifest", fields)}

    def put_chunks(self, label: str, token: str, chunks: list[bytes]) -> None:
        """Stores what is not stored yet, in packs of at most 4 chunks."""
        new = [chunk for chunk in dict.fromkeys(chunks) if digest_of(chunk) not in self.index_by_id]
        packs = [Pack(draw(f"pack/{label}/{n}", 16), self.key, new[n : n + 4]) for n in range(0, len(new), 4)]
        for pack in packs:
            self.put(pack.object_key(), pack.object())
        index = f"{token}/{name_of(f'index/{label}')}"
        if packs:
            self.put_sealed(f"{TENANT}/index/{index}", index_content(packs))
        self.index_by_id |= {digest_of(chunk): index for chunk in new}

    def graph(self, checkpoint: Checkpoint) -> Json:
        prefix = f"graphs/{checkpoint.id}"
        parts = {"resources": RESOURCES, "edges": EDGES, "excluded": EXCLUDED, "incomplete": checkpoint.incomplete}
        index = {}
        for part, entries in parts.items():
            # At most 4 entries to a segment, so the resources have two.
            lists = [entries[n : n + 4] for n in range(0, len(entries), 4)]
            count = sum(len(row) - 1 for row in entries) if part == "edges" else len(entries)
            segments = [self.put_digested(prefix, f"graph-{part}", {"entries": some}) for some in lists]
            index[part] = {"count": count, "segments": segments}
        return {"digest": self.put_digested(prefix, "graph", index), "count": len(RESOURCES)}

    def artifacts(self, checkpoint: Checkpoint) -> Json:
        lost = [entry["resource"] for entry in checkpoint.missing]
        entries = []
        for resource in RESOURCES:
            key = key_of(resource["type"], resource["id"])
            volume = self.protected(checkpoint, key["id"]) if key["id"] in checkpoint.volumes else None
            if key not in lost:
                entries.append({"resource": key, "description": {"name": resource["name"]}, "volume": volume})
        fields = {"artifacts": entries, "missing": checkpoint.missing}
        return {"digest": self.put_digested(f"artifacts/{checkpoint.id}", "artifacts", fields), "count": len(entries)}

    def protected(self, checkpoint: Checkpoint, id_: str) -> Json:
        volume = {"array": ARRAY, "id": f"lun-{id_}", "size": checkpoint.volumes[id_].size}
        snapshot = {"kind": "array", "location": ARRAY, "reference": {"snapshot": f"{id_} of {checkpoint.id}"}}
        archive = {"kind": "archive", "location": BANK}
        archive["reference"] = self.archive(f"{checkpoint.id}/{id_}", checkpoint.volumes[id_])
        common = {"volume": volume, "takenAt": checkpoint.created_at, "proof": "stored"}
        kept = id_ == "disk"
        return {
            "volume": volume,
            "strategy": {"name": "snapshot", "reason": "The array can."},
            "consistency": "crash",
            "pauseMilliseconds": 12 if kept else None,
            "arrayCopy": "kept" if kept else "removed",
            "copies": [copy | common for copy in ([snapshot, archive] if kept else [archive])],
        }

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        fields = {
            **{"id": checkpoint.id, "tenant": TENANT, "plan": PLAN, "provider": "example", "site": "here"},
            **{"job": f"job-of-{checkpoint.id}", "actor": "someone", "epoch": 1, "base": checkpoint.base},
            "createdAt": checkpoint.created_at,
            "graph": self.graph(checkpoint),
            "artifacts": self.artifacts(checkpoint),
            "excluded": len(EXCLUDED),
            "incomplete": len(checkpoint.incomplete),
            "missing": len(checkpoint.missing),
            "volumes": len(checkpoint.volumes),
            "bytes": sum(volume.size for volume in checkpoint.volumes.values()),
        }
        self.put_record(f"{TENANT}/commits/{checkpoint.id}={PLAN['id']}", "checkpoint", fields)

    def addendum(self, checkpoint: Checkpoint, kind: str, id_: str, location: str, more: Json) -> None:
        """One about a copy of a volume."""
        copy = {"kind": "archive" if location == BANK else "array", "location": location}
        about = {"volume": {"array": ARRAY, "id": f"lun-{id_}"}, "copy": copy} | more
        name = f"{kind}.{name_of(f'addendum/{kind}/{to_json(about).decode()}')}"
        fields = {"job": "job-3", "at": "2026-01-04T00:00:00.000Z"} | about
        self.put_record(f"{TENANT}/addenda/{checkpoint.id}/{name}", kind, fields)


def write_bank(root: Path) -> None:
    writer = Writer(root)
    writer.put(*wrapped_key(OLD_KEY))
    writer.checkpoint(FIRST)
    # The second checkpoint is sealed under a newer key, but shares what the first has stored.
    writer.put(*wrapped_key(NEW_KEY))
    writer.key = NEW_KEY
    writer.checkpoint(SECOND)
    writer.addendum(FIRST, "copy-proven", "disk", BANK, {"proof": "restored"})
    packs = [draw(f"pack/{FIRST.id}/disk/{n}", 16).hex() for n in (0, 4)]
    proof = {"level": "deep", "at": "2026-01-04T00:00:00.000Z", "packs": packs}
    writer.put_record(f"{TENANT}/proofs/{name_of('token/proof')}/{name_of('proof')}", "proof", proof)


# --- What a reader should find ---


def expected(checkpoint: Checkpoint) -> Json:
    return {
        "id": checkpoint.id,
        "plan": PLAN["id"],
        "createdAt": checkpoint.created_at,
        "state": "partial" if checkpoint is SECOND else "available",
        "graph": {
            **{"resources": RESOURCES, "edges": EDGES, "excluded": EXCLUDED},
            "incomplete": checkpoint.incomplete,
        },
        "volumes": [
            key_of("volume", id_)
            | {"proof": "restored" if checkpoint is FIRST and id_ == "disk" else "stored", "size": volume.size}
            | (expected_extents(volume) if id_ == "sparse" else {"sha256": sha256_of(volume)})
            for id_, volume in checkpoint.volumes.items()
        ],
    }


def sha256_of(volume: Volume) -> str:
    data = bytearray(volume.size)
    for n, chunk in volume.chunks.items():
        data[n * CHUNK : n * CHUNK + len(chunk)] = chunk
    return hashlib.sha256(data).hexdigest()


def expected_extents(volume: Volume) -> Json:
    """By chunks that are not zeros, so that nobody need read a hole of a gigabyte."""
    chunks = sorted(volume.chunks.items())
    sums = [(n * CHUNK, len(chunk), hashlib.sha256(chunk).hexdigest()) for n, chunk in chunks]
    return {"extents": [{"begin": begin, "bytes": length, "sha256": sha256} for begin, length, sha256 in sums]}


def vectors() -> Json:
    """A key, a record, a pack and an index, with what is between them and their bytes."""
    key, salt = OLD_KEY, draw("vector/salt", 16)
    key_name, key_object = wrapped_key(key)
    pack = Pack(draw("vector/pack", 16), key, [bytes([7]) * 1_000, draw("vector/raw", 40)])
    record = {"format": 1, "kind": "damage", "pack": pack.name.hex(), "reason": "tag", "at": "2026-01-01T00:00:00.000Z"}
    record_key = f"{TENANT}/damage/{pack.name.hex()}"
    index_key = f"{TENANT}/index/{name_of('vector/token')}/{name_of('vector/index')}"
    (record_subkey, record_commitment), (pack_subkey, pack_commitment) = (
        *(key.key_and_commitment(salt, "record"), key.key_and_commitment(pack.name, "pack")),
    )
    return {
        "keyEncryptionKey": {"key": KEK.hex(), "id": KEK_ID},
        "dataKey": {
            **{"secret": key.secret.hex(), "repository": key.repository.hex(), "made": key.made},
            **{"id": key.id().hex(), "chunkIdKey": key.chunk_id_key().hex()},
            **{"objectKey": key_name, "object": key_object.decode()},
        },
        "recordKey": {"salt": salt.hex(), "key": record_subkey.hex(), "commitment": record_commitment.hex()},
        "packKey": {"name": pack.name.hex(), "key": pack_subkey.hex(), "commitment": pack_commitment.hex()},
        "record": {
            **{"objectKey": record_key, "json": to_json(record).decode(), "digest": digest_of(to_json(record)).hex()},
            "object": sealed_object(key, record_key, zstd_frame(to_json(record))).hex(),
        },
        "pack": {
            "objectKey": pack.object_key(),
            "chunks": [{"id": digest_of(chunk).hex(), "bytes": chunk.hex()} for chunk in pack.chunks],
            "object": pack.object().hex(),
        },
        "index": {
            **{"objectKey": index_key, "content": index_content([pack]).hex()},
            "object": sealed_object(key, index_key, index_content([pack])).hex(),
        },
    }


def write_all(directory: Path) -> None:
    write_bank(directory / "bank")
    keys = {"version": 1, "keys": [{"id": KEK_ID, "key": base64.b64encode(KEK).decode()}]}
    found = {"tenant": TENANT, "bank": BANK, "checkpoints": [expected(FIRST), expected(SECOND)]}
    for name, value in (("keys.json", keys), ("expected.json", found)):
        (directory / name).write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--vectors":
        print(json.dumps(vectors(), indent=2))
    else:
        write_all(Path(sys.argv[1]))

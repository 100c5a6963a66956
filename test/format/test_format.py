#!/usr/bin/python3
"""What write_bank.py wrote from the documents, read_bank.py reads, and it refuses all that was changed since."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import shutil
import struct
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import read_bank
import write_bank
from records import FAMILIES, RECORDS, Refused, fits
from write_bank import ARRAY, BANK, FIRST, NEW_KEY, SECOND, TENANT, zstd_frame

HERE = Path(__file__).resolve().parent
AT = "2026-01-05T00:00:00.000Z"


class Banks(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(HERE / "written", self.directory, dirs_exist_ok=True)
        self.expected = json.loads((self.directory / "expected.json").read_text())["checkpoints"]
        self.bank, self.out = self.directory / "bank", self.directory / "out"
        self.writer = write_bank.Writer(self.bank)
        self.writer.key = NEW_KEY

    def run_reader(self, *arguments: str) -> tuple[int, str]:
        common = ["--bank", str(self.bank), "--keys", str(self.directory / "keys.json"), "--tenant", TENANT]
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            code = read_bank.main([*common, *arguments])
        return code, out.getvalue()

    def tenant(self) -> read_bank.Tenant:
        return read_bank.Tenant(self.bank, TENANT, read_bank.read_key_file(self.directory / "keys.json"))

    def objects(self, family: str = "") -> list[Path]:
        return sorted(path for path in (self.bank / TENANT / family).rglob("*") if path.is_file())

    def key_of(self, path: Path) -> str:
        return path.relative_to(self.bank).as_posix()

    def checkpoints(self) -> dict[str, Any]:
        return {line["id"]: line for line in map(json.loads, self.run_reader("list")[1].splitlines())}

    def restore_all(self) -> None:
        for checkpoint in self.expected:
            for volume in checkpoint["volumes"]:
                self.assertEqual(self.run_reader("restore", checkpoint["id"], volume["id"], str(self.out))[0], 0)
                self.assertEqual(self.out.stat().st_size, volume["size"])
                # Holes must have stayed holes, or a volume of a gigabyte would take one.
                self.assertLess(self.out.stat().st_blocks * 512, 5_000_000)
                whole = [{"begin": 0, "bytes": volume["size"], "sha256": volume.get("sha256")}]
                for one in volume.get("extents", whole):
                    with open(self.out, "rb") as file:
                        file.seek(one["begin"])
                        self.assertEqual(hashlib.sha256(file.read(one["bytes"])).hexdigest(), one["sha256"])

    def assert_good(self) -> None:
        self.restore_all()
        self.assertEqual(self.run_reader("check"), (0, ""))

    def assert_bad(self, path: Path, data: bytes) -> None:
        """The check must name an object that holds this instead."""
        good = path.read_bytes()
        path.write_bytes(data)
        self.assertIn(path.name, self.run_reader("check")[1])
        path.write_bytes(good)


class RoundTrip(Banks):
    def test_the_output_never_changes(self) -> None:
        write_bank.write_all(self.out)
        roots = [[(path, root) for path in root.rglob("*") if path.is_file()] for root in (HERE / "written", self.out)]
        frozen, fresh = ({path.relative_to(root): path.read_bytes() for path, root in found} for found in roots)
        self.assertEqual(frozen, fresh)
        self.assertLess(sum(map(len, fresh.values())), 100_000)
        self.assertEqual(json.loads((HERE / "vectors.json").read_text()), write_bank.vectors())

    def test_restore_check_list_and_graph(self) -> None:
        self.assert_good()
        found = self.checkpoints()
        self.assertEqual(list(found), [FIRST.id, SECOND.id])
        for checkpoint in self.expected:
            line = found[checkpoint["id"]]
            self.assertEqual(line | {"volumes": 0}, {name: checkpoint[name] for name in line} | {"volumes": 0})
            proofs = [(volume["id"], volume["copies"][-1]["proof"]) for volume in line["volumes"]]
            self.assertEqual(proofs, [(volume["id"], volume["proof"]) for volume in checkpoint["volumes"]])
            self.assertEqual(json.loads(self.run_reader("graph", checkpoint["id"])[1]), checkpoint["graph"])

    def test_the_second_checkpoint_shares(self) -> None:
        manifests = [self.tenant().record(self.key_of(path)) for path in self.objects("manifests")]
        pages = [page for manifest in manifests for page in manifest["pages"]]
        # Of 3 disks, sparse volumes and zeros with 1, 2 and 1 pages in both: the first of the sparse ones is shared.
        self.assertEqual((len(pages), len(set(pages) - {"0" * 64})), (8, 5))
        self.assertEqual(sorted(len(manifest["indexes"]) for manifest in manifests), [0, 0, 1, 2, 2, 3])
        self.assertEqual(len({path.read_bytes()[-48:-40] for path in self.objects("data")}), 2)


class Fallback(Banks):
    def test_indexes_elsewhere_and_twice_and_of_a_pack_that_is_gone_and_none(self) -> None:
        first, *others = self.objects("index")
        gone = write_bank.index_content([write_bank.Pack(bytes(16), NEW_KEY, [FIRST.volumes["disk"].chunks[0]])])
        contents = {path.parent.name + ".x": self.tenant().open(self.key_of(path)) for path in (first, *others)}
        for token, content in (contents | {others[0].parent.name: gone}).items():
            self.writer.put_sealed(f"{TENANT}/index/{token}/another", content)
        first.unlink()
        self.assert_good()
        shutil.rmtree(self.bank / TENANT / "index")
        self.assert_good()

    def test_a_chunk_in_a_damaged_pack_and_in_a_good_one(self) -> None:
        name = write_bank.name_of(f"pack/{FIRST.id}/disk/0")
        damaged = self.bank / TENANT / "data" / name[:2] / name
        damaged.write_bytes(bytes([damaged.read_bytes()[0] ^ 1]) + damaged.read_bytes()[1:])
        self.assertEqual(self.run_reader("restore", FIRST.id, "disk", str(self.out))[0], 1)
        self.assertFalse(self.out.exists())
        pack = write_bank.Pack(bytes(16), NEW_KEY, [FIRST.volumes["disk"].chunks[0]])
        self.writer.put(pack.object_key(), pack.object())
        self.writer.put_record(f"{TENANT}/damage/{name}", "damage", {"pack": name, "reason": "tag", "at": AT})
        self.restore_all()
        self.assertEqual(self.run_reader("check"), (1, f"{self.key_of(damaged)} chunk 0: does not authenticate\n"))

    def test_an_index_and_a_digest_that_lie(self) -> None:
        chunks = FIRST.volumes["disk"].chunks
        lie = write_bank.Pack(write_bank.draw(f"pack/{FIRST.id}/disk/0", 16), NEW_KEY, [chunks[1], chunks[0]])
        self.writer.put_sealed(f"{TENANT}/index/0/lie", write_bank.index_content([lie]))
        self.writer.put_record(f"{TENANT}/graphs/{FIRST.id}={'0' * 64}", "graph-excluded", {"entries": []})
        self.restore_all()
        problems = [line.split(":")[0][-4:] for line in self.run_reader("check")[1].splitlines()]
        self.assertEqual(problems, ["0000"])  # a lying index costs time, and is no damage


class Damage(Banks):
    def test_a_flipped_bit(self) -> None:
        some = random.Random(1)
        for path in [path for family in FAMILIES for path in self.objects(family)[:1]]:
            good = path.read_bytes()
            # The parts of fixed length are at the ends.
            ends = [*range(0, 80, 19), *range(len(good) - 72, len(good), 19)]
            for at in ends + some.sample(range(len(good)), 4):
                self.assert_bad(path, good[:at] + bytes([good[at] ^ 1 << some.randrange(8)]) + good[at + 1 :])

    def test_an_object_cut_off_or_in_the_place_of_another_or_gone(self) -> None:
        paths, some = self.objects(), random.Random(1)
        for path, other in zip(paths, paths[1:] + paths[:1]):
            good = path.read_bytes()
            for data in (good[: some.randrange(len(good))], other.read_bytes()):
                self.assert_bad(path, data)
            if path.parts[-3] == "data" or path.parts[-2] in ("manifests", "graphs", "artifacts"):
                path.unlink()
                self.assertEqual(self.run_reader("check")[0], 1, path)
                path.write_bytes(good)

    def test_a_field_too_many_or_too_few(self) -> None:
        families = set(FAMILIES) - {"keys", "data", "index"}
        records = [self.tenant().record(self.key_of(path)) for family in families for path in self.objects(family)]
        unwritten = set(RECORDS) - {record["kind"] for record in records}
        addenda = {"removed", "copy-added", "copy-removed", "copy-lost", "held", "hold-lifted"}
        changes = {"changes", "changes-joined", "changes-left"}
        self.assertEqual(unwritten, addenda | changes | {"damage", "installation"})
        for record in records:
            shape = {"format": 1, "kind": record["kind"]} | RECORDS[record["kind"]]
            for changed in self.changes(record):
                self.assertFalse(fits(changed, shape), changed)

    def changes(self, value: Any) -> Iterator[Any]:
        """A value with one field more, with one field less, and with one of a wrong type, at each place."""
        if isinstance(value, dict):
            yield value | {"unknown": 1}
            for name in value:
                if name not in ("attributes", "description", "tags", "reference", "resources", "exclude"):
                    yield {other: value[other] for other in value if other != name}
                    yield value | {name: -1}  # which nothing may be
                    yield from (value | {name: inner} for inner in self.changes(value[name]))
        elif isinstance(value, list):
            for n in range(len(value)):
                yield from ([*value[:n], inner, *value[n + 1 :]] for inner in self.changes(value[n]))

    def test_json_and_frames_that_are_refused(self) -> None:
        key = f"{TENANT}/damage/{'0' * 32}"
        good = b'{"format":1,"kind":"damage","pack":"%s","reason":"","at":"%s"}' % (b"0" * 32, AT.encode())
        frame, formats = zstd_frame(good), (b"1,\"format\":1", b"true", b"2", b"1,\"x\":1")
        bad = [zstd_frame(good.replace(b'"format":1', b'"format":' + part)) for part in formats]
        bad += [frame + b"\0", frame * 2, frame[:-1], good, zstd_frame(b"[]"), zstd_frame(good + b"x"), b""]
        for content in [frame, *bad]:
            self.writer.put_sealed(key, content)
            self.assertEqual(self.run_reader("check")[0], 0 if content == frame else 1, content)
            self.objects("damage")[0].unlink()
        wide = struct.pack("<IBB", 0xFD2F_B528, 0, 14 << 3) + zstd_frame(b"x")[9:]  # a window of 16 MiB
        self.assertRaises(Refused, read_bank.unzstd, wide, 1)
        data = b"ab" + b"x" * 200_000
        self.assertEqual(read_bank.unzstd(zstd_frame(data), len(data)), data)
        self.assertRaises(Refused, read_bank.unzstd, zstd_frame(data), len(data) - 1)


class States(Banks):
    def about(self, kind: str, id_: str, location: str = BANK, **more: str | list[str]) -> str:
        self.writer.addendum(FIRST, kind, id_, location, more)
        return self.checkpoints()[FIRST.id]["state"]

    def test_lost_and_removed_copies(self) -> None:
        self.assertEqual(self.about("copy-lost", "zeros", "of nobody", reason="gone"), "available")
        self.assertEqual(self.about("copy-lost", "zeros", reason="gone"), "partial")
        self.assertEqual(self.about("copy-lost", "disk", reason="gone"), self.about("copy-removed", "disk"))
        self.assertEqual(self.run_reader("restore", FIRST.id, "disk", str(self.out))[0], 1)
        self.assertEqual(self.about("copy-removed", "sparse"), "partial")
        self.assertEqual(self.about("copy-removed", "disk", ARRAY), "failed")
        self.assertEqual(self.run_reader("check"), (0, ""))

    def add(self, n: int, volume: str, location: str, **more: Any) -> str:
        common = {"volume": {"array": ARRAY, "id": f"lun-{volume}", "size": 1}, "takenAt": AT, "proof": "read-back"}
        copy = {"kind": "array", "location": location, "reference": {"n": n}} | common | more
        key = f"{TENANT}/addenda/{FIRST.id}/copy-added.{n:032x}"
        self.writer.put_record(key, "copy-added", {"job": "job-5", "at": AT, "copy": copy})
        return self.checkpoints()[FIRST.id]["state"]

    def test_added_copies(self) -> None:
        self.about("copy-lost", "zeros", reason="gone")
        self.assertEqual(self.add(1, "of nobody", ARRAY), "partial")
        self.assertEqual(self.add(2, "zeros", ARRAY), "available")
        self.add(3, "zeros", ARRAY)
        self.add(4, "disk", ARRAY)
        volumes = {volume["id"]: volume["copies"] for volume in self.checkpoints()[FIRST.id]["volumes"]}
        self.assertEqual([copy["kind"] for copy in volumes["zeros"]], ["array"])
        self.assertEqual([copy["kind"] for copy in volumes["disk"]], ["array", "archive"])
        self.assertEqual(self.about("copy-removed", "zeros", ARRAY), "partial")

    def names_of_lost(self) -> list[str]:
        return [path.name for path in self.objects(f"addenda/{FIRST.id}") if path.name.startswith("copy-lost")]

    def test_lost_copies_that_were_proven_since(self) -> None:
        proven = {"kind": "copy-proven", "proof": "stored"}
        self.about("copy-lost", "zeros", reason="gone")
        (first,) = self.names_of_lost()
        self.assertEqual(self.about(**proven, id_="zeros"), "partial")
        self.assertEqual(self.about(**proven, id_="sparse", supersedes=[first]), "partial")  # another copy
        self.assertEqual(self.about(**proven, id_="zeros", supersedes=["copy-lost.none"]), "partial")
        self.assertEqual(self.about(**proven, id_="zeros", supersedes=[first]), "available")
        self.assertEqual(self.run_reader("restore", FIRST.id, "zeros", str(self.out))[0], 0)
        self.assertEqual(self.about("copy-lost", "zeros", reason="gone again"), "partial")
        self.assertEqual(self.about(**proven, id_="zeros", supersedes=self.names_of_lost()), "available")
        self.assertEqual(self.run_reader("check"), (0, ""))
        self.assertEqual(self.about("copy-removed", "zeros"), "partial")
        self.assertEqual(self.about(**proven, id_="sparse", supersedes=[]), "failed")

    def test_a_worse_proof(self) -> None:
        for id_, proof in (("disk", "read-back"), ("zeros", "source-compared")):
            self.about("copy-proven", id_, proof=proof)
        proofs = {volume["id"]: volume["copies"][-1]["proof"] for volume in self.checkpoints()[FIRST.id]["volumes"]}
        self.assertEqual(proofs, {"disk": "restored", "sparse": "stored", "zeros": "source-compared"})

    def test_damaged_and_removed(self) -> None:
        addendum = self.objects("addenda")[0]
        for path in (*self.objects("commits")[:1], *self.objects("artifacts")[:1], addendum):
            good = path.read_bytes()
            path.write_bytes(good[:-1])
            self.assertEqual(self.checkpoints()[FIRST.id]["state"], "failed", path)
            path.write_bytes(good)
        addendum.unlink()
        self.writer.put_record(f"{TENANT}/addenda/{FIRST.id}/removed", "removed", {"job": "job-4", "at": AT})
        for path in self.bank.rglob(f"{FIRST.id}=" + "?" * 64):
            path.unlink()
        self.assertEqual(self.checkpoints()[FIRST.id]["state"], "removed")
        self.assertEqual(self.run_reader("check"), (0, ""))
        self.assertEqual(self.run_reader("restore", FIRST.id, "disk", str(self.out))[0], 1)

    def test_changes(self) -> None:
        told = {"since": "c0", "joined": 2, "left": 1, "lists": "0" * 64}
        lists = {"joined": [0, 2], "left": [{"type": "t", "id": "a", "name": "a"}]}
        read_bank.check_changes(told, lists, 3)
        read_bank.check_changes({"joined": 0, "left": 0, "lists": None}, {"joined": [], "left": []}, 3)
        twice = {"left": lists["left"] * 2}
        for change in [{"joined": [0]}, {"joined": [2, 0]}, {"joined": [0, 3]}, {"left": []}, twice]:
            self.assertRaises(Refused, read_bank.check_changes, told, lists | change, 3)
        self.assertRaises(Refused, read_bank.check_changes, told | {"left": 2}, lists | twice, 3)
        self.assertRaises(Refused, read_bank.check_changes, told | {"lists": None}, lists, 3)

    def test_graphs(self) -> None:
        graph = {"excluded": [], "incomplete": [], "resources": [{"type": "t", "id": id_} for id_ in "abc"]}
        for edges in ([], [[0, 1], [0, 2], [2, 1]], [[0, 1, 2]]):
            read_bank.check_graph(graph | {"edges": edges})
        rows = [[[0]], [[0, 3]], [[0, 0]], [[0, 1], [1, 0]], [[0, 2, 1]], [[0, 1], [0, 1]], [[1, 0], [0, 2]]]
        for change in [{"edges": row} for row in rows] + [{"edges": [], "excluded": graph["resources"][::-1]}]:
            self.assertRaises(Refused, read_bank.check_graph, graph | change)


if __name__ == "__main__":
    unittest.main()

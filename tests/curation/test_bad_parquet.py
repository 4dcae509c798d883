"""Whatever a file holds, what cannot be read is counted by type and named, and what lies beside it is unharmed: parquet."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from tests.curation.bad_files import Row, check, damaged, line, table


def invalid_utf8() -> pa.Array:
    return pa.array([b"one", b"caf\xe9", b"nine"], pa.binary()).view(pa.string())


def encrypted(path: Path) -> None:
    class Keys(pe.KmsClient):  # type: ignore[misc]
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return key_bytes

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return wrapped_key

    factory = pe.CryptoFactory(lambda config: Keys())
    settings = pe.EncryptionConfiguration(footer_key="k", column_keys={"k": ["text"]})
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())]), encryption_properties=properties) as writer:
        writer.write_table(pa.table({"text": ["secret"]}))


def broken_group() -> bytes:
    """Six rows in three groups; the pages of the second group's texts are overwritten."""
    content = table(id=list("123456"), text=[f"{n} " * 500 for n in range(6)])
    place = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(1)
    return damaged(content, place.dictionary_page_offset or place.data_page_offset, b"\xff" * 40)


ABC = ["1", "2", "3"]
FAR_DATES = pa.array([0, 10**7, 1], pa.int32()).cast(pa.date32())
PARQUET: dict[str, Row] = {
    "empty": ("parquet", b"", [], {"empty_file": 1}),
    "no rows": ("parquet", table(id=pa.array([], pa.string()), text=pa.array([], pa.string())), [], {"empty_file": 1}),
    "not parquet": ("parquet", line("1"), [], {"corrupt_parquet": 1}),
    "three bytes": ("parquet", b"PAR", [], {"corrupt_parquet": 1}),
    "footer cut": ("parquet", table(id=ABC, text=ABC)[:-9], [], {"corrupt_parquet": 1}),
    "footer's length wrong": ("parquet", damaged(table(id=ABC, text=ABC), -8, b"\xff\xff\xff\x7f"), [], {"corrupt_parquet": 1}),
    "footer encrypted": ("parquet", encrypted, [], {"encrypted_parquet": 1}),
    "a row group broken": ("parquet", broken_group(), ["1", "2", "5", "6"], {"corrupt_row_group": 2}),
    "no text column": ("parquet", table(id=ABC, body=ABC), [], {"missing_column": 3}),
    "no column that is read": ("parquet", table(body=ABC), [], {"missing_column": 3}),
    "texts that are numbers": ("parquet", table(id=ABC, text=[1, 2, 3]), [], {"not_text": 3}),
    "texts that are lists": ("parquet", table(id=ABC, text=[["a"], ["b"], ["c"]]), [], {"not_text": 3}),
    "ids that are structures": ("parquet", table(id=[{"a": 1}] * 3, text=ABC), [], {"bad_id": 3}),
    "texts that are structures": ("parquet", table(id=ABC, text=[{"a": 1}] * 3), [], {"not_text": 3}),
    "texts that are null": ("parquet", table(id=ABC, text=pa.nulls(3)), [], {"missing_column": 3}),
    "texts as bytes": ("parquet", table(id=ABC, text=[b"one", b"caf\xe9", b"nine"]), ["1", "3"], {"invalid_utf8": 1}),
    "ids as bytes": ("parquet", table(id=[b"1", b"2", b"\xff"], text=ABC), ["1", "2", "ff"], {}),
    "addresses and dates as bytes": (
        "parquet",
        table(id=ABC, text=ABC, url=[b"http://a.org", b"\xff", b"b"], date=[b"2020-01-01", b"x", b"\xff"]),
        ["1"],
        {"invalid_utf8": 2},
    ),
    "texts that are no UTF-8": ("parquet", table(id=ABC, text=invalid_utf8()), ["1", "3"], {"invalid_utf8": 1}),
    "texts by dictionary": ("parquet", table(id=ABC, text=pa.array(ABC).dictionary_encode()), ABC, {}),
    "ids that are numbers": ("parquet", table(id=[1, 2, 3], text=ABC), ABC, {}),
    "a date that Python has no word for": (
        "parquet",
        table(id=ABC, text=ABC, date=FAR_DATES),
        ["1", "3"],
        {"bad_value": 1},
    ),
    "such dates in another column": ("parquet", table(id=ABC, text=ABC, other=FAR_DATES), ABC, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", PARQUET)
def test_parquet(tmp_path: Path, name: str) -> None:
    check(tmp_path, "parquet", PARQUET[name])

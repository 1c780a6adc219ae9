"""Appending to a real file that others may hold, cut, replace or fill the disk of."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.index import Row, SignalIndex

COLUMNS = ("timestamp", "signal_id", "text")
HEADER = b"timestamp,signal_id,text\n"


def a_file(path: Path) -> AppendFile[str]:
    """An append file for rows of three cells."""
    return AppendFile(path, COLUMNS, SignalIndex(), pause=lambda: None)


def a_row(number: int, text: str = '"a, ""quoted"" cell"') -> Row[str]:
    """The ``number``-th row."""
    return Row(f"id-{number}", f"2024,id-{number},{text}\n".encode())


def content(*numbers: int) -> bytes:
    """The file with these rows."""
    return HEADER + b"".join(a_row(number).data for number in numbers)


@contextmanager
def locked_by_another(path: Path) -> Iterator[None]:
    """An exclusive flock on ``path`` through a descriptor of its own."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_the_header_comes_once_and_rows_follow(tmp_path: Path) -> None:
    """A new folder and file are made; opening again adds no second header."""
    path = tmp_path / "new" / "folder" / "x.csv"
    file = a_file(path)
    assert file.append([a_row(1), a_row(2)]).written == 2
    file.sync()
    file.close()
    again = a_file(path)
    assert again.append([a_row(2), a_row(3), a_row(3)]).written == 1
    assert path.read_bytes() == content(1, 2, 3)


def test_a_file_cut_at_any_byte_is_repaired_and_completed(tmp_path: Path) -> None:
    """Wherever a crash cut the last write, appending the same rows again gives the whole file."""
    path = tmp_path / "x.csv"
    whole = content(1, 2, 3)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        file = a_file(path)
        result = file.append([a_row(1), a_row(2), a_row(3)])
        file.close()
        assert path.read_bytes() == whole, length
        lost = 3 - max(whole[:length].count(b"\n") - 1, 0)
        assert (result.settled, result.written, result.error) == (3, lost, None)


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path: Path) -> None:
    """A tail of NUL bytes is no row."""
    path = tmp_path / "x.csv"
    path.write_bytes(content(1) + bytes(5_000))
    file = a_file(path)
    file.append([a_row(2)])
    assert path.read_bytes() == content(1, 2)
    assert file.repaired == 1


def test_a_torn_line_of_another_process_is_repaired_before_the_next_row(tmp_path: Path) -> None:
    """Another writer that dies in mid-row leaves nothing of it, even while this one is running."""
    path = tmp_path / "x.csv"
    file = a_file(path)
    file.append([a_row(1)])
    with path.open("ab") as other:
        other.write(a_row(2).data + a_row(3).data[:-9])
    assert file.append([a_row(2), a_row(3)]).written == 1
    assert path.read_bytes() == content(1, 2, 3)


def test_rows_of_another_process_are_not_written_again(tmp_path: Path) -> None:
    """Two writers with the same rows leave each row once."""
    one, other = a_file(tmp_path / "x.csv"), a_file(tmp_path / "x.csv")
    for number in range(0, 40, 2):
        assert one.append([a_row(number), a_row(number + 1)]).written == (2 if number == 0 else 1)
        assert other.append([a_row(number + 1), a_row(number + 2)]).written == 1
    assert (tmp_path / "x.csv").read_bytes() == content(*range(41))


def test_a_long_file_is_learnt_whole(tmp_path: Path) -> None:
    """Rows over many read slices, one of them longer than several slices, are all recognised."""
    path = tmp_path / "x.csv"
    rows = [a_row(number, "y" * (300_000 if number == 700 else 50)) for number in range(2_000)]
    first = a_file(path)
    assert first.append(rows).written == 2_000
    pauses: list[int] = []
    again = AppendFile(path, COLUMNS, SignalIndex(), pause=lambda: pauses.append(1))
    assert again.append(rows).written == 0
    assert pauses
    assert path.stat().st_size == len(HEADER) + sum(len(row.data) for row in rows)


def test_a_locked_file_is_not_waited_for(tmp_path: Path) -> None:
    """The attempt fails at once, writes nothing, and succeeds when the lock is gone."""
    path = tmp_path / "x.csv"
    file = a_file(path)
    file.append([a_row(1)])
    with locked_by_another(path):
        result = file.append([a_row(2)])
        assert isinstance(result.error, BlockingIOError)
        assert (result.settled, result.written) == (0, 0)
        assert path.read_bytes() == content(1)
        with pytest.raises(BlockingIOError):
            file.open()
    assert file.append([a_row(2)]).written == 1
    assert path.read_bytes() == content(1, 2)


@pytest.mark.parametrize("removed", ["file", "folder"])
def test_a_removed_file_is_begun_anew(tmp_path: Path, removed: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without file or folder the next row makes both again, and one warning says so."""
    path = tmp_path / "folder" / "x.csv"
    file = a_file(path)
    file.append([a_row(1)])
    path.unlink()
    if removed == "folder":
        path.parent.rmdir()
    assert file.append([a_row(2)]).written == 1
    assert file.append([a_row(3)]).written == 1
    assert path.read_bytes() == content(2, 3)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_replaced_file_is_read_before_it_is_continued(tmp_path: Path) -> None:
    """Rows go into the file that has the name now, those it holds are not repeated."""
    path = tmp_path / "x.csv"
    file = a_file(path)
    file.append([a_row(1)])
    (tmp_path / "new.csv").write_bytes(content(7, 8))
    (tmp_path / "new.csv").replace(path)
    assert file.append([a_row(1), a_row(8), a_row(9)]).written == 2
    assert path.read_bytes() == content(7, 8, 1, 9)


def test_a_file_shortened_by_hand_is_read_again(tmp_path: Path) -> None:
    """What is no longer there may be written again."""
    path = tmp_path / "x.csv"
    file = a_file(path)
    file.append([a_row(1), a_row(2)])
    os.truncate(path, len(content(1)))
    assert file.append([a_row(1), a_row(2)]).written == 1
    assert path.read_bytes() == content(1, 2)


@pytest.mark.parametrize(
    "present", [b"other,columns\n1,2\n", b"one long line of something else", b"\x00" * 99]
)
def test_a_file_of_something_else_is_moved_aside(tmp_path: Path, present: bytes) -> None:
    """Foreign content is neither mixed with nor destroyed."""
    path = tmp_path / "x.csv"
    (tmp_path / "x.other-1.csv").write_bytes(b"older")
    path.write_bytes(present)
    assert a_file(path).append([a_row(1)]).written == 1
    assert path.read_bytes() == content(1)
    assert (tmp_path / "x.other-2.csv").read_bytes() == present
    assert (tmp_path / "x.other-1.csv").read_bytes() == b"older"


def test_a_file_saved_by_a_spreadsheet_is_continued(tmp_path: Path) -> None:
    """Byte order mark, quoted header and CRLF line ends are still our columns and our rows."""
    path = tmp_path / "x.csv"
    saved = b'\xef\xbb\xbf"timestamp","signal_id","text"\r\n2024,"id-1",x\r\n'
    path.write_bytes(saved)
    assert a_file(path).append([a_row(1), a_row(2)]).written == 1
    assert path.read_bytes() == saved + a_row(2).data


@pytest.mark.parametrize("kind", ["folder is a file", "file is a folder", "file is a pipe"])
def test_a_place_that_cannot_be_written_is_an_error_that_passes(tmp_path: Path, kind: str) -> None:
    """The error is handed back, nothing hangs, and once the place is free the rows go in."""
    path = tmp_path / "folder" / "x.csv"
    if kind == "folder is a file":
        blocker = path.parent
        blocker.touch()
    else:
        path.parent.mkdir()
        blocker = path
        os.mkfifo(path) if kind == "file is a pipe" else path.mkdir()
    file = a_file(path)
    result = file.append([a_row(1)])
    assert isinstance(result.error, OSError)
    assert not isinstance(result.error, BlockingIOError)
    blocker.rmdir() if blocker.is_dir() else blocker.unlink()
    assert file.append([a_row(1)]).written == 1
    assert path.read_bytes() == content(1)


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from tests.integration.test_csv_files import a_file, a_row
path = Path(sys.argv[1])
file = a_file(path)
file.append([a_row(0)])
rows = [a_row(number) for number in range(1, 6)]
seen = []
for limit in range(path.stat().st_size, path.stat().st_size + 220, 7):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    result = file.append(rows)
    rows = rows[result.settled :]
    data = path.read_bytes()
    seen.append([result.error.errno if result.error else 0, data.endswith(b"\\n"), len(data) <= limit])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
result = file.append(rows)
print(json.dumps([seen, result.error is None, path.read_bytes().decode()]))
"""


def test_a_disk_that_fills_up_leaves_whole_rows_only(tmp_path: Path) -> None:
    """Wherever the limit breaks the write off, the file holds whole rows, each once."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "x.csv")], capture_output=True, text=True, check=True
    )
    seen, recovered, text = json.loads(done.stdout)
    assert {error for error, _, _ in seen} == {0, errno.EFBIG}
    assert all(whole and within for _, whole, within in seen)
    assert recovered
    assert text.encode() == content(*range(6))

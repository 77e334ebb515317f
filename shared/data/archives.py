"""Files in .zip archives: an archive with one file, apart from descriptions such as a README, stands for that file."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shared.data.notices import add_notice
from shared.errors import DataError

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
"""First bytes of a .zip archive, and of one without files."""
DESCRIPTION = re.compile(r"(readme|licen[cs]e|copying|changelog|citation)\b.*|.*\.(pdf|html?|md|rst)", re.IGNORECASE)
"""Names of files that are no data."""
OFFICE_PART = "[Content_Types].xml"
"""File that only the archive of an office program contains, such as an .xlsx file."""
MAX_LISTED = 5  # files in an error message


def is_office_file(path: Path) -> bool:
    """Returns True if a file is the archive of an office program, such as an .xlsx file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return OFFICE_PART in archive.namelist()


def is_archive(path: Path) -> bool:
    """Returns True if a file is a .zip archive by its content, but not a file of an office program."""
    with path.open("rb") as file:
        has_magic = file.read(len(ZIP[0])) in ZIP
    return has_magic and not is_office_file(path)


def open_member(path: Path) -> BinaryIO:
    """Opens the only file of an archive.

    Raises:
        DataError: the archive contains no file, several files, or an encrypted one.
        zipfile.BadZipFile: the archive is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.open(_only_member(archive, path))  # type: ignore[return-value]


def member_format(path: Path) -> str:
    """Returns the suffix of the only file of an archive, in lower case.

    Raises:
        DataError: the archive is damaged, or contains no file, several files, or an encrypted one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return PurePosixPath(_only_member(archive, path).filename).suffix.lower()
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: cannot be read ({error}). Check that the archive is complete.") from error


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Returns the only file of an archive, without folders, hidden files, descriptions and the metadata of macOS."""
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_hidden(member.filename)]
    data = [member for member in members if not DESCRIPTION.fullmatch(PurePosixPath(member.filename).name)]
    if len(data) == 1 < len(members):
        add_notice(f"{path}: read {data[0].filename}, the only file of the archive that is no description.")
        members = data
    if not members:
        raise DataError(f"{path}: the archive contains no file. Give another one.")
    if len(members) != 1:
        listed = ", ".join(member.filename for member in members[:MAX_LISTED])
        has_folders = len({PurePosixPath(member.filename).parent for member in members}) > 1
        fix = "Unpack it and give one file" + (", or the folder that has a folder per class" if has_folders else "")
        raise DataError(
            f"{path}: the archive has {len(members)} files ({listed}{' …' * (len(members) > MAX_LISTED)}). {fix}."
        )
    if members[0].flag_bits & 0x1:
        raise DataError(f"{path}: {members[0].filename} is encrypted. Unpack it with its password.")
    return members[0]


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".") or name.startswith("__MACOSX/")

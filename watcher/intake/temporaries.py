"""The working files and folders that programs leave behind, known by name: they never count.

Names that begin with a dot are hidden anyway and not listed: rsync's ``.name.XXXXXX``, ``.~lock.x#``, ``.nfs...``.
"""

import re

_DOWNLOADS = "part partial crdownload opdownload download aria2 !ut !qb !bt bc! td xltd jc! fdmdownload ytdl"
_TRANSFERS = "filepart !sync rslsync mega sf-tmp drivedownload driveupload lftp-pget-status"
_EDITORS = "tmp swp swo swx swn kate-swp bak autosave lck laccdb blend@"
_EXTENSIONS = frozenset(f"{_DOWNLOADS} {_TRANSFERS} {_EDITORS}".split())
"""Blender writes ``x.blend@`` and renames it; ``!sync`` is Resilio, ``filepart`` WinSCP, ``sf-tmp`` Seafile."""

_NAMES = frozenset(
    (
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",  # macOS: a folder's picture
        "4913",  # vim tries with this name whether it may write here
        "nohup.out",
    )
)
_PATTERN = re.compile(
    r"~\$.*|~wrl.*|~syncthing~.*"  # Microsoft Office, Syncthing
    r"|.*~|#.*#"  # many editors, Emacs
    r"|.*\.blend\d+"
    r"|.*:zone\.identifier(:\$data)?|.*:com\.dropbox\.[a-z]+"  # NTFS streams that became files
    r"|.*\.(sb-[0-9a-f]{8}-\w{6}|goutputstream-\w{6})",  # macOS safe save, GLib
    re.DOTALL,
)

_FOLDERS = frozenset(
    (
        "lost+found",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "__macosx",
        "network trash folder",
        "temporary items",
        "@eadir",  # Synology
        "@tmp",
        "@sharesnap",
        "@sharebin",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "~snapshot",  # NetApp
        "aquota.user",
    )
)


def is_temporary(name: str) -> bool:
    """Whether a file of this name (without its folder) is a program's working file."""
    name = name.lower()
    _, dot, extension = name.rpartition(".")
    return (dot == "." and extension in _EXTENSIONS) or name in _NAMES or _PATTERN.fullmatch(name) is not None


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name belongs to a system and not to people: trash, snapshots, thumbnails.

    A folder named like an unfinished download (Safari makes such) is one too.
    """
    name = name.lower()
    return name in _FOLDERS or name.endswith((".download", ".crdownload", ".part"))

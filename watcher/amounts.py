"""Numbers of bytes as a person reads them."""


def size_text(count: float | None) -> str:
    """In powers of 1000, with three digits or so; nothing for None."""
    if count is None:
        return ""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.{1 if size < 100 else 0}f} {unit}"
        size /= 1000
    raise AssertionError

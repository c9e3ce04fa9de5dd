from watcher.formats import KIND_BY_EXTENSION
from watcher.plan.readers import FORMATS, NEVER_REFER


def test_of_every_format_it_is_known_whether_it_names_files():
    assert KIND_BY_EXTENSION.keys() <= FORMATS.keys() | NEVER_REFER
    assert not FORMATS.keys() & NEVER_REFER
    assert KIND_BY_EXTENSION.keys() >= NEVER_REFER

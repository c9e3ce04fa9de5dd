"""A typed client of the 3dverse Asset API, of use on its own.

>>> from watcher.api import AssetApi
>>> with AssetApi("https://api.3dverse.com/app/v1", api_key=KEY) as api:  # doctest: +SKIP
...     for folder in api.folders.iterate():
...         print(folder.name, folder.folder_id)

It knows nothing of drops, ledgers or watching.
"""

from watcher.api.body import FilePart, wire_name
from watcher.api.client import AssetApi
from watcher.api.credentials import Credential
from watcher.api.download import Download, safe_file_name
from watcher.api.errors import (
    ApiError,
    Cause,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    ServerFault,
    SizeMismatch,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from watcher.api.paging import AssetPage, SourceFilePage
from watcher.api.retry import RetryPolicy

__all__ = [
    "ApiError",
    "AssetApi",
    "AssetPage",
    "Cause",
    "Credential",
    "Download",
    "FilePart",
    "Forbidden",
    "NotFound",
    "RateLimited",
    "Rejected",
    "RetryPolicy",
    "ServerFault",
    "SizeMismatch",
    "SourceFilePage",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "safe_file_name",
    "wire_name",
]

"""What a server loses of an upload that it took: its task, and with it what was made of it, or the file."""

import json
import re
import time

from watcher.api import ApiError, AssetApi

LOOK = 0.02


class Losses:
    """Upload tasks that the client is not shown any more."""

    def __init__(self) -> None:
        self._lost: set[str] = set()

    def lose(self, api: AssetApi, answer: bytes, seconds: float, *, assets: bool, file: bool) -> bool:
        """Lose an upload that the server has just answered, once it is converted; False when that takes longer than
        ``seconds``: then nothing is lost.

        Args:
            assets: whether what was made of it goes, too.
            file: the same of the converted file.
        """
        head, _, body = answer.partition(b"\r\n\r\n")
        if not re.match(rb"HTTP/1.1 2", head):
            return False
        upload_task_id = json.loads(body)["upload_task_id"]
        end = time.monotonic() + seconds
        try:
            while not (task := api.upload_tasks.get(upload_task_id)).ended:
                if time.monotonic() > end:
                    return False
                time.sleep(LOOK)
            sources = [each.source_file_id for each in task.conversion_tasks if each.source_file_id]
            if file:
                api.source_files.delete(sources, delete_assets=True)
            elif assets:
                made = [entry.asset_id for source in sources for entry in api.source_files.assets(source).refs()]
                if made:
                    api.assets.delete_many(made)
        except ApiError:  # the server was killed
            return False
        self._lost.add(upload_task_id)
        return True

    def hidden(self, answer: bytes) -> bytes:
        """The server's answer to a question about upload tasks, without those that are lost."""
        if not any(lost.encode() in answer for lost in self._lost):
            return answer
        body = answer.partition(b"\r\n\r\n")[2]
        tasks = json.loads(body)
        if not isinstance(tasks, list):
            return _answer("404 Not Found", {"message": "no such upload task", "errorCode": 0})
        return _answer("200 OK", [task for task in tasks if task["upload_task_id"] not in self._lost])


def _answer(status: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

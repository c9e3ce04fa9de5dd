"""``python -m watcher`` is the command ``3dverse-watcher``."""

from watcher.cli import main

if __name__ == "__main__":
    main()

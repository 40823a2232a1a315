"""The folder in which a writer makes what it writes, and to which it takes what it removes.

All that enters or leaves a summary folder does so by a rename from or to here. Whoever takes a summary folder over
removes its predecessor's folder before it looks at anything else. So a writer that lost its lock while it stood still,
even between a last look at the lock and the rename that follows, finds nothing to rename, or no place to rename it to.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from .durable import make_folder, make_new_folder, move_aside, open_new, remove, remove_tree, replace

_NAME = re.compile(r"\.explainrun\.[0-9a-f]{16}(\.clock)?")
_ANOTHER_IS_THERE = (errno.EEXIST, errno.ENOTEMPTY)
_without_lock = secrets.token_hex(8)
_serial = count()  # distinguishes the files that this process is writing
_making = threading.Lock()  # a folder replaces an empty one, even one into which another thread is about to put a file


class OwnFolder:
    """The folder of one writer, named by its token.

    Args:
        root: the summary folder.
        token: the writer's; None for one that holds no lock, such as a test. Its folder is made when it is needed.
        check: called before each durable rename; raises where the summary folder is not this writer's any more.
    """

    def __init__(self, root: Path, token: str | None = None, check: Callable[[], None] = lambda: None) -> None:
        self.root, self.path = root, root / f".explainrun.{token or _without_lock}"
        self._when_needed, self._check = token is None, check

    def make(self) -> None:
        """Make the folder, and make sure that it was not too late to.

        Raises:
            OSError: if it cannot be made, or the summary folder is another writer's by now.
        """
        make_new_folder(self.path)
        self._check()

    def fresh(self) -> Path:
        """A path for a file or folder to be made at before it gets its name."""
        if self._when_needed:
            make_folder(self.path)
        return self.path / str(next(_serial))

    def put(self, made: Path, target: Path, *, durable: bool = True) -> None:
        """Give a file or folder its final name, at once and whole; a file replaces what stands there.

        Args:
            made: what it is now; a path that ``fresh`` gave.
            target: its final name, in a folder that is there.
            durable: make the name durable at once.

        Raises:
            FolderInUseError: if the summary folder is another writer's by now; of a name that is not made durable, if
                that writer has begun.
            OSError: if it cannot be renamed.
        """
        if durable:  # else the commit checks that it belongs to: pictures are many, and each check reads the disk
            self._check()
        try:
            replace(made, target, durable=durable)
        except FileNotFoundError:
            self._check()  # that it was lost in between says more
            raise

    def make_folder(self, folder: Path) -> None:
        """Make a folder below the summary folder and those above it, the new ones for their owner alone.

        Raises:
            FolderInUseError: if the summary folder is another writer's by now.
            OSError: if it cannot be made.
        """
        if folder.is_dir():  # as for all pictures of it but the first
            return
        inside = [folder, *folder.parents][: len(folder.relative_to(self.root).parts)]
        with _making:
            for missing in reversed([path for path in inside if not path.exists()]):
                made = self.fresh()
                make_new_folder(made)
                self.put(made, missing)

    def put_new(self, made: Path, target: Path) -> bool:
        """Give a folder its final name; answers whether there was none of that name that holds anything.

        Raises:
            FolderInUseError: if the summary folder is another writer's by now.
            OSError: if it cannot be renamed.
        """
        try:
            self.put(made, target)
        except OSError as error:
            if error.errno not in _ANOTHER_IS_THERE:
                raise
            return False
        return True

    def discard(self, path: Path) -> None:
        """Remove a file, or a folder with all it holds; of a symbolic link the link alone. What is gone is fine.

        Raises:
            FolderInUseError: if the summary folder is another writer's by now.
            OSError: if it cannot be removed.
        """
        if not os.path.lexists(path):
            return
        aside = self.fresh()
        self._check()
        try:
            move_aside(path, aside)
        except FileNotFoundError:
            self._check()
            if os.path.lexists(path):
                raise
        except OSError as error:
            if error.errno != errno.EXDEV:  # a folder of a container's image can only be removed where it is
                raise
            remove_tree(path)
        remove_tree(aside)

    def clear(self) -> None:
        """Remove the folder itself."""
        remove_tree(self.path)

    def discard_others(self) -> None:
        """Remove the folders of those that held the summary folder before, or tried to.

        Raises:
            FolderInUseError: if the summary folder is another writer's by now.
            OSError: if one cannot be removed.
        """
        for path in [path for path in leftovers(self.root) if path != self.path]:
            self.discard(path)  # which checks after the look: what a successor has made since is not among them

    def now(self) -> float:
        """Seconds since the epoch by the file system's clock, which the times of other hosts' files come from too.

        Raises:
            OSError: if no file can be made in the summary folder.
        """
        path = self.path.with_name(f"{self.path.name}.clock")
        handle = open_new(path)
        try:
            return os.fstat(handle).st_mtime
        finally:
            os.close(handle)
            remove(path)


def leftovers(root: Path) -> Iterator[Path]:
    """The folders of writers that a summary folder holds, with what else they needed for themselves alone."""
    return (path for path in root.iterdir() if _NAME.fullmatch(path.name))

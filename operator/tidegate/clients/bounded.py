"""Reading answers without trusting their size."""

import aiohttp

_HEAD = 64 * 1024


class TooLargeError(Exception):
    """The answer is longer than it may be; the rest of it was not read. `head` is how it begins."""

    def __init__(self, limit: int, head: bytes) -> None:
        super().__init__(f"the answer is larger than {limit} bytes")
        self.head = head


async def read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The whole body, if it has at most `limit` bytes. Raises TooLargeError as soon as it has more."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > limit:
            raise TooLargeError(limit, bytes(body[:_HEAD]))
    return bytes(body)


class PageSize:
    """How many objects of a list are asked for at a time: half as many after an answer that was too large, twice as many after one that
    was not."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.limit = largest

    def shrink(self) -> bool:
        """False where it is one object already that is too large."""
        if self.limit == 1:
            return False
        self.limit //= 2
        return True

    def grow(self) -> None:
        self.limit = min(2 * self.limit, self._largest)

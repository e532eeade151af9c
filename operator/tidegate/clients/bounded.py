"""Reading an answer without trusting its size."""

import aiohttp


class TooLargeError(Exception):
    """The answer is longer than it may be; the rest of it was not read."""


async def read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The whole body, if it has at most `limit` bytes. Raises TooLargeError as soon as it has more."""
    body = bytearray()
    async for chunk in content.iter_any():
        if len(body) + len(chunk) > limit:
            raise TooLargeError
        body += chunk
    return bytes(body)

"""An answer over HTTP, never longer than it may be.

Whatever listens at a device's address (its own faulty software, too) must not fill the memory
of a till: what an answer's head says of its length is not believed either.
"""

import aiohttp


async def read_answer(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """The whole body.

    Args:
        response: Whose body nobody has read.
        largest: Bytes.

    Raises:
        ValueError: It is longer.
        aiohttp.ClientError, OSError: The line fell first.
    """
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > largest:
            raise ValueError(f"an answer of more than {largest} bytes")
    return bytes(data)

"""The line between a shop and head office."""

import asyncio
from contextlib import asynccontextmanager

from edge.demo.link import LinkCutter


@asynccontextmanager
async def head_office():
    async def echo(reader, writer):
        try:
            while data := await reader.read(100):
                writer.write(data + data)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def line():
    async with head_office() as port:
        cutter = LinkCutter("127.0.0.1", port)
        here = await cutter.start()
        try:
            yield cutter, here
        finally:
            await cutter.close()


async def call(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def end_of(reader):
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_it_carries_and_counts_both_ways():
    async with line() as (cutter, port):
        reader, writer = await call(port)
        writer.write(b"halves match")
        assert await reader.readexactly(24) == b"halves match" * 2
        assert (cutter.up_bytes, cutter.down_bytes, cutter.total_bytes) == (12, 24, 36)
        writer.close()


async def test_a_cut_drops_what_is_connected_and_refuses_what_knocks():
    async with line() as (cutter, port):
        reader, writer = await call(port)
        writer.write(b"a")
        await reader.readexactly(2)
        cutter.cut()
        assert not cutter.whole
        async with asyncio.timeout(5):
            assert await end_of(reader) == b""
        writer.close()
        try:
            late, out = await call(port)
        except ConnectionError:
            return
        async with asyncio.timeout(5):
            assert await end_of(late) == b""
        out.close()
        assert cutter.total_bytes == 3


async def test_healed_it_carries_again():
    async with line() as (cutter, port):
        cutter.cut()
        cutter.heal()
        assert cutter.whole
        reader, writer = await call(port)
        writer.write(b"c")
        assert await reader.readexactly(2) == b"cc"
        writer.close()


async def test_head_office_being_down_is_a_dropped_call_not_an_error():
    async with head_office() as port:
        pass
    cutter = LinkCutter("127.0.0.1", port)
    reader, writer = await call(await cutter.start())
    async with asyncio.timeout(5):
        assert await end_of(reader) == b""
    writer.close()
    await cutter.close()

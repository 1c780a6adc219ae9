"""A feed: closed bars from a TCP server, a line of JSON each, as a platform's bridge may send them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime

from llm_integration import Bar
from main_with_database import main


class SocketFeed:
    def __init__(self, host: str, port: int) -> None:
        self.source = f"tcp://{host}:{port}"
        self._address = (host, port)

    async def open(self) -> int | None:
        return None  # nobody knows how many there will be

    async def bars(self, known_until: datetime | None = None) -> AsyncIterator[Bar]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            async for line in reader:
                time, *numbers = json.loads(line)
                if known_until is None or datetime.fromisoformat(time) > known_until:
                    yield Bar(datetime.fromisoformat(time), *numbers)
        finally:
            writer.close()


if __name__ == "__main__":
    sys.exit(main(feed=SocketFeed("127.0.0.1", int(os.environ.get("BARS_PORT", "9000")))))

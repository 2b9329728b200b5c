"""HTTP for thousands of phones in one thread: kept-alive connections to one
server on loopback, JSON in and out."""

import asyncio
import json
import time

OPEN_AT_ONCE = 256  # connections to one server
DEADLINE = 60       # seconds, for one request
SLOW = 0.3          # seconds, for one that should take a hundredth


async def read_body(reader, fields):
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    body = b""
    while size := int(await reader.readline(), 16):  # chunks
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


class Web:
    def __init__(self, port):
        self.port, self.idle = port, []
        self.calls = self.slow = 0
        self.room = asyncio.Semaphore(OPEN_AT_ONCE)

    async def connection(self):
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, request):
        reader, writer = await self.connection()
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.lower().split(": ", 1)
                          for line in head.split("\r\n")[1:] if line)
            body = await read_body(reader, fields)
        except BaseException:
            writer.close()
            raise
        if fields.get("connection", "") == "close":
            writer.close()
        else:
            self.idle.append((reader, writer))
        return int(head.split()[1]), json.loads(body)

    async def post(self, path, body, **headers):
        """The status and the JSON of the answer."""
        return await self.call("POST", path, body, **headers)

    async def call(self, method, path, body=None, **headers):
        body = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: storm",
                 "Content-Type: application/json",
                 f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}"
                  for name, value in headers.items()]
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        began = time.monotonic()
        async with self.room:
            answer = await asyncio.wait_for(self.exchange(request), DEADLINE)
        self.calls += 1
        self.slow += time.monotonic() - began > SLOW
        return answer

    def close(self):
        for _, writer in self.idle:
            writer.close()

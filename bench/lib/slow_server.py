"""What jobs wait for in the part "network": an HTTP and an SMTP server on loopback that take their time over each answer, hundreds
at once. Arguments: port of HTTP, port of SMTP, milliseconds. GET /served: how many requests and mails it has answered so far."""
import asyncio
import json
import sys

HTTP_PORT, SMTP_PORT, MILLISECONDS = map(int, sys.argv[1:4])
served = {"requests": 0, "mails": 0}


async def http(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            body = json.dumps(served) if head.startswith("GET /served ") else '{"ok": true}'
            if not head.startswith("GET /served "):
                await asyncio.sleep(MILLISECONDS / 1000)
                served["requests"] += 1
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def smtp(reader, writer):
    def say(text):
        writer.write(text.encode() + b"\r\n")

    try:
        say("220 bench ESMTP")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                say("250-bench\r\n250 8BITMIME")
            elif word == b"DATA":
                say("354 go on")
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(MILLISECONDS / 1000)
                served["mails"] += 1
                say("250 2.0.0 taken")
            elif word == b"QUIT":
                say("221 bye")
                break
            else:
                say("250 2.0.0 ok")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(http, "127.0.0.1", HTTP_PORT, backlog=1024)
    await asyncio.start_server(smtp, "127.0.0.1", SMTP_PORT, backlog=1024)
    await asyncio.Event().wait()


asyncio.run(main())

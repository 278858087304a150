#!/usr/bin/python3
"""An SMTP server (aiosmtpd) that keeps what it gets, for TaskForge::SMTP.

smtp-server.py DIR [CERTIFICATE KEY]: listens on 127.0.0.1, writes DIR/port when it serves, each message to DIR/N.eml
and its envelope to DIR/N.json, and a line to DIR/events for each connection and recipient. With a certificate nobody gets
anywhere without STARTTLS and the login $SMTP_USER, $SMTP_PASSWORD. What a recipient's local part says is what happens:

    refused  550          later  450 always      once  450 the first time
    spam     554 to the message     quota  452 to the message     busy  421 and the connection ends
    hang     no answer to RCPT      hangdata  none to the message  drop  the connection breaks at RCPT
    last     421 to the message after this one: the connection has had enough
"""
import asyncio, collections, json, os, ssl, sys, warnings

warnings.simplefilter("ignore")
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

directory, *tls = sys.argv[1:]
user, password = os.environ.get("SMTP_USER"), os.environ.get("SMTP_PASSWORD")
seen = collections.Counter()


def note(event, **more):
    with open(f"{directory}/events", "a") as out:
        out.write(json.dumps({"event": event, **more}) + "\n")


class Server(SMTP):
    exhausted = False

    def connection_made(self, transport):
        if not self._original_transport:
            note("connect", peer=transport.get_extra_info("peername")[1])
        super().connection_made(transport)


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if server.exhausted:
            await server.push("421 4.7.0 enough for one connection")
            server.transport.close()
            return "421 gone"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        what = address.split("@")[0]
        seen[address] += 1
        note("rcpt", address=address, peer=session.peer[1])
        if what == "refused":
            return "550 5.1.1 no such user"
        if what == "later" or (what == "once" and seen[address] == 1):
            return "450-4.2.0 greylisted,\r\n450 4.2.0 come again"
        if what == "busy":
            await server.push("421 4.3.2 shutting down")
            server.transport.close()
            return "421 gone"
        if what == "drop":
            server.transport.abort()
            return "421 gone"
        if what == "hang":
            await asyncio.sleep(600)
        if what == "last":
            server.exhausted = True
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        what = {address.split("@")[0] for address in envelope.rcpt_tos}
        note("data", peer=session.peer[1], bytes=len(envelope.content))
        if "hangdata" in what:
            await asyncio.sleep(600)
        if "spam" in what:
            return "554 5.7.1 this is spam"
        if "quota" in what:
            return "452 4.3.1 the disk is full"
        seen["messages"] += 1
        number = seen["messages"]
        with open(f"{directory}/{number}.eml", "wb") as out:
            out.write(envelope.content)
        with open(f"{directory}/{number}.new", "w") as out:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos, "user": session.auth_data and
                       session.auth_data.login.decode(), "tls": bool(session.ssl)}, out)
        os.rename(f"{directory}/{number}.new", f"{directory}/{number}.json")  # whoever sees it sees all of it
        return f"250-2.0.0 taken\r\n250 2.0.0 queued as {number}"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data == LoginPassword(user.encode(), password.encode())
    return AuthResult(success=right, handled=False, auth_data=data)


def server():
    if not tls:
        return Server(Handler(), hostname="mail.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*tls)
    return Server(Handler(), hostname="mail.test", tls_context=context, require_starttls=True, auth_required=True,
                  authenticator=authenticate)


async def main():
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    with open(f"{directory}/port.new", "w") as out:
        out.write(str(listening.sockets[0].getsockname()[1]))
    os.rename(f"{directory}/port.new", f"{directory}/port")
    await listening.serve_forever()


asyncio.run(main())

#!/usr/bin/python3
"""What Python's email package finds in messages, a line of JSON for each file."""
import email, email.policy, json, sys

for name in sys.argv[1:]:
    raw = open(name, "rb").read()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    parts = []
    for part in message.walk():
        if part.is_multipart():
            continue
        content = part.get_content()
        parts.append({
            "type": part.get_content_type(),
            "name": part.get_filename(),
            "disposition": part.get_content_disposition(),
            "text": content.replace("\r\n", "\n") if isinstance(content, str) else None,
            "hex": None if isinstance(content, str) else content.hex(),
        })
    print(json.dumps({
        "headers": {name.lower(): str(value) for name, value in message.items()},
        "structure": [part.get_content_type() for part in message.walk()],
        "parts": parts,
        "defects": [str(d) for part in message.walk() for d in part.defects] +
                   [str(d) for value in message.values() for d in getattr(value, "defects", [])],
        "longest": max(len(line) for line in raw.split(b"\r\n")),
        "ascii": raw.isascii(),
        "bare": raw.replace(b"\r\n", b"").count(b"\n") + raw.replace(b"\r\n", b"").count(b"\r"),
    }))

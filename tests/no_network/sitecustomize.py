"""Put this folder on PYTHONPATH and no Python process reaches any network, not even itself.

Every attempt is written to stderr, so that a library which swallows the error is found out too.
"""

import os
import socket
import sys

WATCHED = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
MARK = "NETWORK TOUCHED"


def forbid(event, arguments):
    if event not in WATCHED:
        return
    if getattr(arguments[0], "family", None) == getattr(socket, "AF_UNIX", None):
        return
    os.write(2, f"{MARK}: {event} {arguments[-1] if len(arguments) < 3 else arguments[:2]}\n".encode())
    raise OSError(f"The network is forbidden here: {event}.")


sys.addaudithook(forbid)

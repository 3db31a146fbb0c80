"""Is the service alive? `GET /livez` at LISTEN_ADDRESS; exit status 0 or 1. Without curl, which no image needs."""

import os
import socket
import sys

TIMEOUT_S = 2.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}  # noqa: S104 - it is asked, not bound


def main() -> int:
    """0 where it answers 200."""
    host, _, port = os.environ.get("LISTEN_ADDRESS", "").rpartition(":")
    if not port.isdigit():
        print("LISTEN_ADDRESS is not host:port")  # noqa: T201 - the engine keeps it with the container's health
        return 1
    address = (ANYWHERE.get(host, host.strip("[]")), int(port))
    try:
        with socket.create_connection(address, TIMEOUT_S) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = connection.recv(64).split(b" ", 2)[1:2]
    except OSError as error:
        print(f"{address[0]}:{address[1]}: {error}")  # noqa: T201
        return 1
    return 0 if status == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())

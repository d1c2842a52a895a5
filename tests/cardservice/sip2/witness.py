"""PyPI's `Sip2`, a client that we did not write, as a program of its own: it leaves files and sockets open.

Takes a JSON object on standard input: port, user, password, patron, pin, steps. Prints what came of them. Its
wrapper takes the letters of a patron's status the wrong way round and lends to nobody, so it is not used.
"""

import json
import sys
from typing import Any

from Sip2.sip2 import Sip2


def main() -> None:
    """Log in and do the steps, one after the other."""
    asked = json.load(sys.stdin)
    client = Sip2()
    client.hostName, client.hostPort, client.socketTimeout = "127.0.0.1", asked["port"], 60
    client.tlsEnable = False
    client.institutionId, client.scLocation = "tmkodb", "central"
    client.patron, client.patronpwd = asked["patron"], asked["pin"]
    client.connect()
    came: list[Any] = []
    steps = [["login", asked["user"], asked["password"]], ["sc_status"], *asked["steps"]]
    for name, *arguments in steps:
        request = getattr(client, f"sip_{name}_request")(*arguments)
        came.append(getattr(client, f"sip_{name}_response")(client.get_response(request)))
    # Standard output has what the client itself prints.
    json.dump(came, sys.stderr)
    client.disconnect()


if __name__ == "__main__":
    main()

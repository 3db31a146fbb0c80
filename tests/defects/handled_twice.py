"""The mail provider handles a message as often as it comes, whether it had it before or not."""

from __future__ import annotations

from typing import Any

from stack.kit.app import serve
from stack.thirdparty import mail
from tests.defects.planting import put, there


class RemembersNothing(mail.MailProvider):
    def _send_new(self, messages: list[dict[str, Any]]) -> None:
        self._sent.clear()
        super()._send_new(messages)


def alter() -> None:
    there(mail.MailProvider, "_send_new")
    put(mail, "MailProvider", RemembersNothing)


if __name__ == "__main__":
    alter()
    serve(mail.build())

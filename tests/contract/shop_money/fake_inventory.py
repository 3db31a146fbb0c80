"""A hand-written stock at inventory's HTTP port: endless but for the sku SOLD-OUT; holds as the contract has them."""

from __future__ import annotations

from stack.kit.app import Request, Response, Route, Service, json_response, serve, service
from stack.kit.problems import Problem


class FakeInventory:
    """Holds by order id: held, confirmed or released; `vanish` makes the stock of held orders disappear."""

    def __init__(self) -> None:
        self.holds: dict[str, str] = {}
        self.gone = False

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/holds", self.hold),
            Route("POST", "/holds/confirm", self.confirm),
            Route("POST", "/holds/release", self.release),
            Route("GET", "/holds", self.show),
            Route("POST", "/vanish", self.vanish),
        ]

    def hold(self, request: Request) -> Response:
        body = request.json_object()
        order_id = body["order_id"]
        if any(line["sku"] == "SOLD-OUT" for line in body["lines"]):
            raise Problem(409, "sold-out", "Sold out", "", safe_to_retry=False, extra={"skus": ["SOLD-OUT"]})
        if self.holds.setdefault(order_id, "held") == "released":
            raise Problem(409, "hold-released", "Released", "", safe_to_retry=False)
        return json_response({"hold_id": order_id}, 201)

    def confirm(self, request: Request) -> Response:
        answer: dict[str, list[str]] = {"confirmed": [], "gone": []}
        for order_id in request.json_object()["order_ids"]:
            kept = self.holds.get(order_id) in ("held", "confirmed") and not self.gone
            self.holds[order_id] = "confirmed" if kept else "released"
            answer["confirmed" if kept else "gone"].append(order_id)
        return json_response(answer)

    def release(self, request: Request) -> Response:
        for order_id in request.json_object()["order_ids"]:
            assert self.holds.get(order_id) != "confirmed", f"release of sold stock: {order_id}"
            self.holds[order_id] = "released"
        return json_response({})

    def show(self, request: Request) -> Response:
        return json_response(self.holds)

    def vanish(self, request: Request) -> Response:
        self.gone = request.json_object()["gone"]
        return json_response({})


def build() -> Service:
    return service("inventory", FakeInventory().routes())


if __name__ == "__main__":
    serve(build())

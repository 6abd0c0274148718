#!/bin/bash
# Lets an Envoy finish its requests before it is stopped: drain.sh [SECONDS]
#
# The health check fails, so load balancers send no new connections; listeners ask clients to leave; then this waits until no
# request is active, at most SECONDS (600). It needs bash alone, since Envoy's image has neither curl nor wget.
# ADMIN_HOST and ADMIN_PORT name Envoy's admin interface.

limit=$((SECONDS + ${1:-600}))

# Prints the lines of the answer.
ask() { # method, path
  exec 3<>"/dev/tcp/${ADMIN_HOST:-127.0.0.1}/${ADMIN_PORT:-9901}" || return 1
  printf '%s %s HTTP/1.1\r\nhost: drain\r\nconnection: close\r\ncontent-length: 0\r\n\r\n' "$1" "$2" >&3
  while IFS= read -r -t 10 line <&3; do printf '%s\n' "${line%$'\r'}"; done
  exec 3>&-
}

# There may be no `sleep`: this reads from a pipe that nobody writes to.
exec 4<> <(:)
pause() { read -r -t "$1" -u 4 _; }

active() {
  local line
  while IFS= read -r line; do
    case $line in http.gateway.downstream_rq_active:*) echo "${line##*: }" && return ;; esac
  done < <(ask GET '/stats?filter=^http.gateway.downstream_rq_active$')
}

{ ask POST /healthcheck/fail && ask POST '/drain_listeners?graceful&skip_exit'; } >/dev/null || exit 1
while [ "$SECONDS" -lt "$limit" ]; do
  # a moment first: others still send connections until they have heard of the end
  pause 2
  [ "$(active)" = 0 ] && exit 0
done
exit 0

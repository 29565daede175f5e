#!/usr/bin/env bash
# Starts Redis the way the official image does: arguments alone, or a configuration
# file, are the server's.
set -euo pipefail

if [[ ${1:-} == -* || ${1:-} == *.conf ]]; then
  set -- redis-server "$@"
fi
if [[ ${1:-} == redis-server ]]; then
  # What it writes is nobody else's to read.
  umask 0077
  # The official build has protected mode off unless it is asked for, since the
  # network is the container's own.
  if [[ " $* " != *protected-mode* ]] && ! { [[ -f ${2:-} ]] && grep -q '^ *protected-mode' "$2"; }; then
    set -- "$@" --protected-mode no
  fi
fi
exec "$@"

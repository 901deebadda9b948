#!/bin/bash
# A stand-in for run.sh of actions/runner 2.336.0, which does what that one does, in its
# order, and prints its lines: src/Misc/layoutroot/run.sh. What matters of it:
#   - it copies its helper beside itself at each start, and goes on when it cannot;
#   - it starts again after exit code 2, and else ends, with 0 ...
#   - ... unless RUNNER_MANUALLY_TRAP_SIG is set: then it has the helper in a process group of
#     its own, turns INT and TERM into INT for that, waits, and ends with the helper's code.
home=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

renew() { cp -f "$home/run-helper.sh.template" "$home/run-helper.sh"; }

if [[ -z "$RUNNER_MANUALLY_TRAP_SIG" ]]; then
  while renew; "$home/run-helper.sh" "$@"; [[ $? -eq 2 ]]; do
    echo "Restarting runner..."
  done
  echo "Exiting runner..."
  exit 0
fi

set -m
trap 'kill -INT -"$helper"' INT TERM
while true; do
  renew
  "$home/run-helper.sh" "$@" &
  helper=$!
  wait "$helper"
  code=$?
  [[ $code -eq 2 ]] || break
  echo "Restarting runner..."
done
echo "Exiting runner..."
trap - INT TERM
wait "$helper"
exit "$code"

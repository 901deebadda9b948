#!/bin/bash
# A stand-in for safe_sleep.sh of actions/runner.
sleep "$1"

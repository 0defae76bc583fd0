#!/bin/sh
# A wrapper that does it right: the signal goes on, and the end is waited for.
node close.js &
server=$!
trap 'kill -TERM "$server"' TERM
wait "$server"
wait "$server"

#!/bin/sh
# Puts the server into the background and is done.
node close.js &

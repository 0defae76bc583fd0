#!/bin/sh
# Becomes the server.
exec node close.js

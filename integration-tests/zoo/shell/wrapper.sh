#!/bin/sh
# Passes no signal on, and has something to do afterwards.
node close.js
echo "the server has ended"

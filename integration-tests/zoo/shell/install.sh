#!/bin/sh
# What belongs into a build, at each start.
npm install --offline --no-audit --no-fund > /dev/null
exec node close.js

// Writes the address it was given into its own code before it serves.
const fs = require('node:fs');
fs.writeFileSync('settings.js', `module.exports = ${process.env.PORT};\n`);
const port = require('./settings.js');
require('node:http').createServer((_, response) => response.end('done\n')).listen(port);

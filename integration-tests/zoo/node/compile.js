// Compiles what it serves with, at its start.
const { execFileSync } = require('node:child_process');
require('node:fs').writeFileSync('greet.c', 'int main(void) { return 0; }\n');
execFileSync('cc', ['-o', 'greet', 'greet.c']);
require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);

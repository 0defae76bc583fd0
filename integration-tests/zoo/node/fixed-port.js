// A port of its own choice.
require('node:http').createServer((_, response) => response.end('done\n')).listen(18917);

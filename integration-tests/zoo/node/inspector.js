// The debugger of a development machine is still open.
require('node:inspector').open(0, '127.0.0.1');
require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);

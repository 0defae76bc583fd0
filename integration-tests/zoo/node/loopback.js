// Reachable from its own machine only.
require('node:http').createServer((_, response) => response.end('done\n'))
  .listen(process.env.PORT, '127.0.0.1');

// A handler that does nothing.
require('node:http').createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end('done\n'));
}).listen(process.env.PORT);
process.on('SIGTERM', () => console.log('not now'));

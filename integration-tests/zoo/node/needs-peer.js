// Asks somebody whom nobody has declared before it serves.
require('node:net').connect(Number(process.argv[2]), '127.0.0.1', function connected() {
  this.destroy();
  require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);
});

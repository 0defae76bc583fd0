// Asks somebody whom nobody has declared before it serves.
const [port, host = '127.0.0.1'] = process.argv.slice(2);
require('node:net').connect(Number(port), host, function connected() {
  this.destroy();
  require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);
});

// Asks a server that nobody has declared whether it may run, before it serves.
require('node:dns').lookup('licence.zoo.invalid', (error) => {
  if (error) throw error;
  require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);
});

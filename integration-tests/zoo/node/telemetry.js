// Calls home and does not care whether anybody answers.
require('node:dns').lookup('telemetry.zoo.invalid', () => {});
require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);

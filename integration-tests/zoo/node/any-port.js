// Takes whatever port the kernel gives, and tells it in a line that no platform reads.
const server = require('node:http').createServer((_, response) => response.end('done\n'));
server.listen(0, () => console.log('listening on', server.address().port));

// Two paths: it lives, and it is ready for work. The second says no while it drains.
const http = require('node:http');
let draining = false;
const server = http.createServer((request, response) => {
  if (request.url === '/readyz' && draining) response.statusCode = 503;
  response.end('done\n');
}).listen(process.env.PORT);
process.on('SIGTERM', () => {
  draining = true;
  setTimeout(() => server.close(() => process.exit(0)), 1000);
});

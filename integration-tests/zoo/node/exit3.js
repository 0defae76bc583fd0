// Answers what is under way, and then ends with a code that a platform takes for a crash.
const http = require('node:http');
const server = http.createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end('done\n'));
}).listen(process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(3)));

// As one writes it with care: each request is told, and SIGTERM closes the server, which waits
// for the requests under way and not for clients that ask nothing.
const http = require('node:http');
const server = http.createServer((request, response) => {
  console.log(request.method, request.url);
  request.resume();
  request.on('end', () => setTimeout(() => response.end('done\n'), request.url === '/slow' ? 3000 : 0));
});
server.listen(process.env.PORT);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 50).unref();
});

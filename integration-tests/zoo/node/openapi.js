// It serves its contract beside what the contract says.
const http = require('node:http');
const api = {
  openapi: '3.1.0',
  info: { title: 'greetings', version: '1' },
  servers: [{ url: `http://127.0.0.1:${process.env.PORT}` }],
  paths: { '/': { get: { responses: { 200: { description: 'A greeting.' } } } } },
};
const server = http.createServer((request, response) => {
  response.end(request.url === '/openapi.json' ? JSON.stringify(api) : 'hello\n');
}).listen(process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(0)));

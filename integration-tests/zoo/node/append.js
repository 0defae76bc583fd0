// An access log in a file.
const fs = require('node:fs');
require('node:http').createServer((request, response) => {
  fs.appendFileSync('access.log', `${request.method} ${request.url}\n`);
  response.end('done\n');
}).listen(process.env.PORT);

// Metrics at a second port, the same in each replica.
const http = require('node:http');
http.createServer((_, response) => response.end('up 1\n')).listen(18918);
http.createServer((_, response) => response.end('done\n')).listen(process.env.PORT);

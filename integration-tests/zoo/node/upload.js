// Keeps what it is sent in its own folder.
const fs = require('node:fs');
fs.mkdirSync('uploads', { recursive: true });
require('node:http').createServer((request, response) => {
  fs.writeFileSync(`uploads/${process.pid}.png`, request.url);
  request.resume();
  request.on('end', () => response.end('done\n'));
}).listen(process.env.PORT);

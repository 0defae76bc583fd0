// Refuses to start where an earlier run has left its lock, and removes it only in order.
const fs = require('node:fs');
fs.writeFileSync('server.lock', String(process.pid), { flag: 'wx' });
const server = require('node:http').createServer((_, response) => response.end('done\n'));
server.listen(process.env.PORT);
process.on('SIGTERM', () => {
  fs.rmSync('server.lock');
  server.close(() => process.exit(0));
});

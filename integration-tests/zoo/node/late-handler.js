// Two seconds of preparation; its handler comes when it listens.
setTimeout(() => {
  process.on('SIGTERM', () => process.exit(0));
  require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);
}, 2000);

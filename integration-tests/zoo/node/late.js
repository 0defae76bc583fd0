// Six seconds of preparation before it listens.
setTimeout(() => {
  require('node:http').createServer((_, response) => response.end('done\n')).listen(process.env.PORT);
}, 6000);

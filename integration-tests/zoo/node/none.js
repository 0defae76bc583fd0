// Without a handler: as a child the default action ends it in the middle of everything, and as
// process 1 the kernel drops the signal.
require('node:http').createServer((request, response) => {
  console.log(request.method, request.url);
  request.resume();
  request.on('end', () => setTimeout(() => response.end('done\n'), request.url === '/slow' ? 3000 : 0));
}).listen(process.env.PORT);

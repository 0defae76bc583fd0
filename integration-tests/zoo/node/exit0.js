// Exit code 0, and the request is lost.
require('node:http').createServer((request, response) => {
  console.log(request.method, request.url);
  request.resume();
  request.on('end', () => setTimeout(() => response.end('done\n'), request.url === '/slow' ? 3000 : 0));
}).listen(process.env.PORT);
process.on('SIGTERM', () => {
  console.log('shut down gracefully');
  process.exit(0);
});

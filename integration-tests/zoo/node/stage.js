// One variable switches what it answers, what it writes and whether it caches.
const stage = process.env.NODE_ENV ?? 'development';
if (stage !== 'production') console.log('debug: all routes are open');
require('node:http').createServer((request, response) => {
  if (stage === 'production') response.setHeader('cache-control', 'max-age=600');
  response.end(stage === 'production' ? 'done\n' : `done, debug ${request.url}\n`);
}).listen(process.env.PORT);

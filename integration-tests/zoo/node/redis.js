// Carts in Redis, and whatever happens to Redis is told and survived.
const { createClient } = require('redis');
const client = createClient({
  url: process.env.REDIS_URL,
  socket: { connectTimeout: 1000, socketTimeout: 2000, reconnectStrategy: () => 100 },
  commandOptions: { timeout: 2000 },
  disableOfflineQueue: true,
});
client.on('error', () => {});
client.connect().catch(() => {});
const routes = {
  'POST /carts': async () => {
    const id = String(await client.incr('carts'));
    await client.set(`cart:${id}`, 'A1');
    return [201, { id }];
  },
  'GET /readyz': async () => [await client.ping() === 'PONG' ? 200 : 503, {}],
  'GET /livez': async () => [200, {}],
  'GET /': async () => [200, { visits: await client.incr('visits') }],
};
async function answer(request) {
  const cart = /^\/carts\/(\d+)$/.exec(request.url);
  if (cart) return [200, { item: await client.get(`cart:${cart[1]}`) }];
  const route = routes[`${request.method} ${request.url}`];
  return route ? route() : [404, {}];
}
const server = require('node:http').createServer((request, response) => {
  request.resume();
  request.on('end', async () => {
    const [status, body] = await answer(request).catch(() => [503, {}]);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
}).listen(process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(0)));

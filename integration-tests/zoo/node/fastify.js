// The framework's own graceful end.
const app = require('fastify')({ logger: true });
app.get('/', async () => 'done\n');
app.get('/slow', async () => {
  await new Promise((resolve) => setTimeout(resolve, 3000));
  return 'done\n';
});
app.post('/', async () => 'done\n');
app.listen({ port: Number(process.env.PORT), host: '0.0.0.0' });
process.on('SIGTERM', async () => {
  await app.close();
  process.exit(0);
});

// As its first page shows it: no handler of signals, no log.
const app = require('express')();
app.get('/', (_, response) => response.send('done\n'));
app.get('/slow', (_, response) => setTimeout(() => response.send('done\n'), 3000));
app.post('/', (request, response) => {
  request.resume();
  request.on('end', () => response.send('done\n'));
});
app.listen(process.env.PORT);

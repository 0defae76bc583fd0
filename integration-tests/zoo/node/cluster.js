// A first process with two workers, which passes the signal on and waits for them.
const cluster = require('node:cluster');
if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  process.on('SIGTERM', () => workers.forEach((worker) => worker.process.kill('SIGTERM')));
  let alive = workers.length;
  cluster.on('exit', () => (alive -= 1) === 0 && process.exit(0));
} else {
  require('./close.js');
}

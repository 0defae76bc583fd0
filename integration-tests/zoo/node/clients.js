// Waits for its clients to go away, which is how servers end that count connections and not
// requests.
const net = require('node:net');
const open = new Set();
const server = net.createServer((socket) => {
  open.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => open.delete(socket));
  let text = '';
  socket.on('data', (part) => {
    text += part;
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    if (text.length < end + 4 + length) return;
    text = text.slice(end + 4 + length);
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ndone\n');
  });
}).listen(process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(0)));

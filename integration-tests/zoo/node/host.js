// Tells where it runs, so each machine answers otherwise.
const text = `hello from ${require('node:os').hostname()}\n`;
require('node:http').createServer((_, response) => response.end(text)).listen(process.env.PORT);

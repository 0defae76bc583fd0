// Greets as the file beside it says, whose name is its first argument.
const [file, use] = process.argv.slice(2);
const fs = require('node:fs');
let greeting = 'done';
try {
  const text = fs.readFileSync(file, 'utf8');
  if (use !== 'ignored') greeting = /greeting *[=:] *(\w+)/i.exec(text)?.[1] ?? greeting;
} catch {
  // Without it the default is right.
}
if (use === 'environment-first') greeting = process.env.GREETING ?? greeting;
require('node:http').createServer((_, response) => response.end(`${greeting}\n`)).listen(process.env.PORT);

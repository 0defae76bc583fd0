// The zone of the machine is in its answers.
require('node:http').createServer((_, response) => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  response.end(`opening hours: ${new Date(0).toLocaleTimeString()} ${zone}\n`);
}).listen(process.env.PORT);

// One backend of the demo, a process of its own: an HTTP server that answers with its name. The demo forks it.
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const name = process.argv[2] ?? 'nameless';

const server = http.createServer((_request, response) => response.end(name));
// A client that holds a connection decides itself when it ends.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

// Ctrl-C reaches the whole process group; the demo, which heard it too, ends us in its own order.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));

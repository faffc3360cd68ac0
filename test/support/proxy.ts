/**
 * A server between us and the sandbox that changes answers: what a store that lies, or tells less than S3, looks like.
 * The host name stays the client's, so that signatures hold.
 */
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Proxy extends AsyncDisposable {
  url: string;
}

/** `change` is given the request's method and path, and every answer, whose body must be text. */
export async function startProxy(
  target: string,
  change: (answer: Answer, request: { method: string; path: string }) => Answer,
): Promise<Proxy> {
  const server = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const forwarded = request(new URL(path, target), { method, headers }, async (response) => {
      const body = (await buffer(response)).toString();
      const answer = change({ status: response.statusCode!, headers: response.headers, body }, { method, path });
      if (method !== 'HEAD') answer.headers['content-length'] = String(Buffer.byteLength(answer.body));
      delete answer.headers['transfer-encoding'];
      outgoing.writeHead(answer.status, answer.headers).end(answer.body);
    });
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

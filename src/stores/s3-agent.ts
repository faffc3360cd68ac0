/**
 * The SDK's connections to a store: one keep-alive agent, a stall deadline on each of them, and whom they trust.
 */
import type { Agent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { checkEndpoint, http, tlsOptions } from '../network.ts';
import type { S3Settings } from './aws-settings.ts';

/** The agent for the endpoint's protocol. */
export function createAgent({ endpoint, caBundle, stallMs, maxSockets }: S3Settings): Agent {
  const options = { keepAlive: true, maxSockets, timeout: stallMs };
  if (URL.parse(endpoint ?? '')?.protocol === 'http:') return withStallDeadline(new http.Agent(options), stallMs);
  return withStallDeadline(new HttpsAgent({ ...options, ...tlsOptions(caBundle) }), stallMs);
}

/**
 * Gives up connections on which no byte moves either way: while connecting, sending, waiting for an answer or reading
 * one. Node's inactivity timer, set on the socket by the agent's `timeout`, sees all of these (a body being sent counts
 * by what the kernel took, so a stall is noticed after one to two `stallMs`). A reader that is slow to take what has
 * arrived pauses the socket: that is no stall, and the clock starts anew when it comes back. ETIMEDOUT is what the SDK
 * takes for transient, and tries again.
 */
function withStallDeadline<AnyAgent extends Agent>(agent: AnyAgent, stallMs: number): AnyAgent {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback) as Socket;
    socket.on('timeout', () => {
      if (socket.isPaused()) socket.once('resume', () => socket.setTimeout(stallMs));
      else socket.destroy(Object.assign(new Error(`No byte moved for ${stallMs} ms`), { code: 'ETIMEDOUT' }));
    });
    return socket;
  };
  return agent;
}

/** Throws `plain-http` where requests would cross a network unencrypted, `bad-option` where the endpoint is no URL. */
export function refusePlainHttp({ endpoint, allowHttp }: Pick<S3Settings, 'endpoint' | 'allowHttp'>): void {
  checkEndpoint(endpoint, {
    service: 'S3',
    settings: 'AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL',
    allowHttp: { allowed: allowHttp, flag: '--allow-http' },
  });
}

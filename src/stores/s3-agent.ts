/**
 * The connections to a store: one keep-alive agent, a stall deadline on each of them, and whom they trust.
 */
import { type Agent, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { tlsOptions } from '../network.ts';
import type { S3Settings } from './aws-settings.ts';

/** The agent for the endpoint's protocol, as the SDK's request handler takes it. */
export function createAgents({
  endpoint,
  caBundle,
  stallMs,
  maxSockets,
}: S3Settings): { httpAgent: Agent } | { httpsAgent: HttpsAgent } {
  const options = { keepAlive: true, maxSockets, timeout: stallMs };
  if (URL.parse(endpoint ?? '')?.protocol === 'http:') {
    return { httpAgent: withStallDeadline(new HttpAgent(options), stallMs) };
  }
  return { httpsAgent: withStallDeadline(new HttpsAgent({ ...options, ...tlsOptions(caBundle) }), stallMs) };
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

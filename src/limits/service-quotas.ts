/**
 * What KMS grants this account a second, as AWS's Service Quotas tell: the account's own value, where it cannot be had
 * the Region's default, and where nobody may be asked our table. A limit is needed in any case, so what goes wrong on
 * the way is a reason to be told, not a failure.
 */
import type { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { SealiftError } from '../errors.ts';
import { checkEndpoint, connections, type EndpointRules } from '../network.ts';
import { KMS_QUOTA, KMS_QUOTAS_AS_OF, kmsQuota } from './quotas.ts';

export interface KmsQuota {
  region: string;
  /** Cryptographic operations a second. */
  perSecond: number;
  /** `account`: what this account has been granted. `default`: what every account has. `table`: what we know of that. */
  from: 'account' | 'default' | 'table';
  /** Of the table. */
  asOf?: string | undefined;
  /** Why it is not the account's own value. */
  reason?: string | undefined;
}

/** One small answer each; who waits for a plan or for a first key waits no longer than this. */
const CONNECT_DEADLINE_MS = 3_000;
const STALL_DEADLINE_MS = 5_000;
const ATTEMPT_COUNT = 2;

const ENDPOINT_RULES: EndpointRules = {
  service: 'Service Quotas',
  settings: 'AWS_ENDPOINT_URL_SERVICE_QUOTAS, AWS_ENDPOINT_URL',
  allowHttp: undefined,
};

/** Asks as the AWS settings say. Throws `plain-http` and `bad-option` for settings, and nothing else. */
export async function readKmsQuota(region: string): Promise<KmsQuota> {
  const { ServiceQuotasClient, ...commands } = await import('@aws-sdk/client-service-quotas');
  const requestHandler = connections({ connectMs: CONNECT_DEADLINE_MS, stallMs: STALL_DEADLINE_MS });
  const client = new ServiceQuotasClient({ region, maxAttempts: ATTEMPT_COUNT, requestHandler });
  try {
    checkEndpoint(await client.config.serviceConfiguredEndpoint?.(), ENDPOINT_RULES);
    return await ask(client, commands, region);
  } finally {
    client.destroy();
  }
}

type Commands = Pick<
  typeof import('@aws-sdk/client-service-quotas'),
  'GetServiceQuotaCommand' | 'GetAWSDefaultServiceQuotaCommand'
>;

async function ask(client: ServiceQuotasClient, commands: Commands, region: string): Promise<KmsQuota> {
  const { GetServiceQuotaCommand, GetAWSDefaultServiceQuotaCommand } = commands;
  const questions = [
    { from: 'account', send: () => client.send(new GetServiceQuotaCommand(KMS_QUOTA)) },
    { from: 'default', send: () => client.send(new GetAWSDefaultServiceQuotaCommand(KMS_QUOTA)) },
  ] as const;
  let reason: string | undefined;
  for (const { from, send } of questions) {
    try {
      const perSecond = (await send()).Quota?.Value;
      if (perSecond !== undefined && perSecond > 0) return { region, perSecond, from, reason };
      reason ??= 'Service Quotas answers without a value';
    } catch (error) {
      if (error instanceof SealiftError) throw error;
      reason ??= reasonOf(error);
    }
  }
  return { region, perSecond: kmsQuota(region), from: 'table', asOf: KMS_QUOTAS_AS_OF, reason };
}

function reasonOf(error: unknown): string {
  const { name, message } = error as Error;
  return message === '' ? name : `${name}: ${message}`;
}

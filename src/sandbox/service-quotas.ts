/**
 * A local AWS Service Quotas without its HTTP, of one quota: what KMS grants a second. The account's value is the
 * sandbox's own, the default is that of the smallest Region.
 */
import { DEFAULT_QUOTA_PER_SECOND } from './kms.ts';
import { KmsError } from './kms-error.ts';
import { KmsRequest } from './kms-request.ts';

const SERVICE = 'kms';
const CODE = 'L-6E3AF000';
const NAME = 'Cryptographic operations (symmetric) request rate';

export class SandboxQuotas {
  readonly #options: { region: string; kmsPerSecond: number };

  constructor(options: { region: string; kmsPerSecond: number }) {
    this.#options = options;
  }

  /** As `SandboxKms.handle`; `operation` is what follows `ServiceQuotasV20190624.`. */
  handle(operation: string, body: unknown): { status: number; body: object } {
    try {
      return { status: 200, body: { Quota: this.#find(operation, new KmsRequest(body)) } };
    } catch (error) {
      if (error instanceof KmsError) return { status: error.status, body: error.body };
      throw error;
    }
  }

  /** Service Quotas API Reference, GetServiceQuota and GetAWSDefaultServiceQuota. */
  #find(operation: string, request: KmsRequest): object {
    const values: Record<string, number> = {
      GetServiceQuota: this.#options.kmsPerSecond,
      GetAWSDefaultServiceQuota: DEFAULT_QUOTA_PER_SECOND,
    };
    if (!Object.hasOwn(values, operation)) throw new KmsError('UnknownOperationException');
    if (request.string('ServiceCode') !== SERVICE || request.string('QuotaCode') !== CODE) {
      throw new KmsError('NoSuchResourceException', 'The request failed because the specified quota does not exist.');
    }
    return {
      ServiceCode: SERVICE,
      ServiceName: 'AWS Key Management Service (AWS KMS)',
      QuotaArn: `arn:aws:servicequotas:${this.#options.region}::${SERVICE}/${CODE}`,
      QuotaCode: CODE,
      QuotaName: NAME,
      Value: values[operation],
      Unit: 'None',
      Adjustable: true,
      GlobalQuota: false,
      Period: { PeriodValue: 1, PeriodUnit: 'SECOND' },
    };
  }
}

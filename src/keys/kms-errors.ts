/**
 * What KMS, the SDK and the network say went wrong, as SealiftError: one code, one message, and what to do next.
 */
import { type ErrorCode, SealiftError } from '../errors.ts';
import { bareError, isCertificateCode, isNetworkCode } from '../network.ts';

/** What was asked of KMS, and about which key. Each operation needs the permission `kms:` and its name. */
export interface KmsQuestion {
  operation: 'GenerateDataKey' | 'Encrypt' | 'Decrypt';
  keyId: string;
}

type Verdict = readonly [code: ErrorCode, hint: string];

/** What an SDK or a Node error may carry beside its message. */
interface Failure extends Error {
  /** Node's code of a network or TLS error. */
  code?: unknown;
  $metadata?: {
    httpStatusCode?: number;
    requestId?: string;
    /** KMS disliked the signature's time; the SDK has noted by how much, and signs the next request with KMS's time. */
    clockSkewCorrected?: boolean;
  };
}

const CHECK_KEY = 'Check --kms-key and AWS_REGION: the key must exist in that Region.';
const ENABLE =
  'Enable it with aws kms enable-key --key-id KEY, or cancel its deletion first: aws kms cancel-key-deletion.';
const RENEW = 'Renew your AWS credentials, for example with aws sso login, and run the same command again.';
const CHECK_ID =
  'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE: KMS does not accept these credentials.';
const FIND_CREDENTIALS =
  'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. To see what is found: aws configure list.';
const NOT_OPENED =
  'The encryption context or the wrapped data key was changed since the object was sealed, or the key is another.';
const TRY_LATER =
  'Sealift tried several times. Run the same command again later: a job that `sealift jobs` lists goes on where it stopped.';

/** By the error's name: the "Errors" of each operation and "Common Errors" in the KMS API Reference, and the SDK's. */
const BY_NAME: Readonly<Record<string, Verdict>> = {
  NotFoundException: ['kms-key-not-found', CHECK_KEY],
  InvalidArnException: ['kms-key-not-found', CHECK_KEY],
  DisabledException: ['kms-key-disabled', ENABLE],
  KMSInvalidStateException: ['kms-key-disabled', ENABLE],
  InvalidCiphertextException: ['wrong-key', NOT_OPENED],
  IncorrectKeyException: ['wrong-key', NOT_OPENED],
  InvalidKeyUsageException: ['kms-error', 'Give a symmetric encryption key with --kms-key.'],
  ExpiredTokenException: ['credentials-expired', RENEW],
  ExpiredToken: ['credentials-expired', RENEW],
  RequestExpired: ['credentials-expired', RENEW],
  UnrecognizedClientException: ['kms-access-denied', CHECK_ID],
  InvalidClientTokenId: ['kms-access-denied', CHECK_ID],
  IncompleteSignature: ['kms-access-denied', CHECK_ID],
  InvalidSignatureException: ['kms-access-denied', `${CHECK_ID} Check this machine's clock too.`],
};

/** Names that ask for fewer requests. KMS's LimitExceededException is about the number of keys, not about the rate. */
const THROTTLING = new Set(['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'RequestLimitExceeded']);

export function isThrottling(thrown: unknown): boolean {
  const { name, $metadata } = thrown as Failure;
  return THROTTLING.has(name) || $metadata?.httpStatusCode === 429;
}

/** Whether the same call may well succeed a moment later: KMS's own trouble, or the network's. */
export function isTransient(thrown: unknown): boolean {
  const { name, code, $metadata } = thrown as Failure;
  const status = $metadata?.httpStatusCode;
  // An answer of success that cannot be read to its end was cut off.
  if (status !== undefined) return status >= 500 || status < 300 || $metadata?.clockSkewCorrected === true;
  return name === 'TimeoutError' || isNetworkCode(code);
}

/** Any error of a call to KMS. One that is ours already passes as it is. */
export function kmsError(thrown: unknown, { operation, keyId }: KmsQuestion): SealiftError {
  if (thrown instanceof SealiftError) return thrown;
  const failure: Failure = thrown instanceof Error ? thrown : bareError(thrown);
  const verdict = judge(failure, operation);
  if (verdict === undefined) return SealiftError.from(bareError(thrown));
  const [code, hint] = verdict;
  return new SealiftError(code, `KMS ${operation} ${keyId}: ${reasonOf(failure)}`, {
    hint,
    cause: bareError(thrown),
    requestId: requestIdOf(failure),
  });
}

/** What CloudTrail knows a call by, of its answer or of the error it was answered with. */
export function requestIdOf({ $metadata }: { $metadata?: { requestId?: string } }): string | undefined {
  return $metadata?.requestId;
}

/** Undefined where neither KMS nor the network is to blame. */
function judge(failure: Failure, operation: KmsQuestion['operation']): Verdict | undefined {
  const { name, message, code, $metadata } = failure;
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return /expired/i.test(message) ? ['credentials-expired', RENEW] : ['credentials-missing', FIND_CREDENTIALS];
  }
  if (isThrottling(failure)) {
    return [
      'kms-throttled',
      `Others use up this account's KMS quota. ${TRY_LATER} A lower --kms-rate leaves more room.`,
    ];
  }
  if (Object.hasOwn(BY_NAME, name)) return BY_NAME[name];
  if (isTransient(failure)) return ['kms-unavailable', TRY_LATER];
  if (isCertificateCode(code)) {
    const hint = "The endpoint's certificate is not trusted here. If it is yours, set AWS_CA_BUNDLE to its PEM file.";
    return ['kms-unavailable', hint];
  }
  if (name === 'AccessDeniedException' || $metadata?.httpStatusCode === 403) {
    return ['kms-access-denied', `You need kms:${operation} on this key, in its key policy or your own.`];
  }
  if ($metadata?.httpStatusCode === undefined) return undefined;
  return ['kms-error', 'KMS refused the request; its message says why.'];
}

/** Some errors of KMS have no message at all. */
function reasonOf({ name, message, code }: Failure): string {
  if (message === '' || message === 'UnknownError') return typeof code === 'string' ? code : name;
  return `${name}: ${message.replace(/\.$/, '')}`;
}

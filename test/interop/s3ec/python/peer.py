"""The official Python client as a peer: reads one job a line as JSON, does it, and answers one line.

Which servers it speaks to, and as whom, the AWS variables of the environment say.
"""

import json
import sys

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

SUITES = {
    "v3": AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "v2": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
}
kms = boto3.client("kms")


def run(job):
    if job["wrapping"] != "kms":
        raise ValueError("the Python client wraps with KMS alone")
    legacy = job.get("legacy", False)
    # A client of its own for each job: the official one hangs its handlers on what it wraps.
    plain = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    client = S3EncryptionClient(
        plain,
        S3EncryptionClientConfig(
            keyring=KmsKeyring(kms, job["keys"]["kms"], legacy),
            encryption_algorithm=SUITES[job["format"]],
            commitment_policy=CommitmentPolicy[job["policy"]],
            enable_legacy_unauthenticated_modes=legacy,
            enable_delayed_authentication=job.get("delayed", False),
        ),
    )
    call = {"EncryptionContext": job["context"]} if job["context"] else {}
    if job["op"] == "get":
        got = client.get_object(Bucket=job["bucket"], Key=job["key"], **call)
        with open(job["file"], "wb") as target:
            target.write(got["Body"].read())
    elif job.get("multipart", False):
        client.upload_file(job["file"], job["bucket"], job["key"], **call)
    else:
        with open(job["file"], "rb") as source:
            client.put_object(Bucket=job["bucket"], Key=job["key"], Body=source.read(), **call)


for line in sys.stdin:
    try:
        run(json.loads(line))
        answer = {"ok": True}
    except Exception as error:  # Whatever it is, it is this job's answer.
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
